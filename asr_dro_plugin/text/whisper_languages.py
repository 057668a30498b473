"""The languages of Whisper's vocabulary: its codes (ISO 639-1 for the most part) and ISO 639-3.

Source: the language tokens of openai/whisper (99, and ``yue`` since large-v3).  Where a code covers
several ISO 639-3 languages the first is the one that a published Whisper's transcripts are tagged
with; it is the one that ``local/languages.tsv`` has, if it has one of them.
"""

_CODES = """
af afr | am amh | ar ara,arb | as asm | az aze,azj,azb | ba bak | be bel | bg bul | bn ben | bo bod
br bre | bs bos | ca cat | cs ces | cy cym | da dan | de deu | el ell | en eng | es spa | et est,ekk
eu eus | fa fas,pes,prs | fi fin | fo fao | fr fra | gl glg | gu guj | ha hau | haw haw | he heb
hi hin | hr hrv | ht hat | hu hun | hy hye | id ind | is isl | it ita | ja jpn | jw jav | ka kat
kk kaz | km khm | kn kan | ko kor | la lat | lb ltz | ln lin | lo lao | lt lit | lv lav,lvs
mg mlg,plt | mi mri | mk mkd | ml mal | mn mon,khk | mr mar | ms msa,zsm,zlm | mt mlt | my mya
ne nep,npi | nl nld | nn nno | no nor,nob | oc oci | pa pan | pl pol | ps pus,pbt,pst | pt por
ro ron | ru rus | sa san | sd snd | si sin | sk slk | sl slv | sn sna | so som | sq sqi,als,aln
sr srp | su sun | sv swe | sw swa,swh | ta tam | te tel | tg tgk | th tha | tk tuk | tl fil,tgl
tr tur | tt tat | uk ukr | ur urd | uz uzb,uzn | vi vie | yi yid,ydd | yo yor | yue yue | zh cmn,zho
"""

# Whisper's code -> its ISO 639-3 codes.
WHISPER_LANGUAGES: dict[str, tuple[str, ...]] = {
    code: tuple(isos.split(","))
    for entry in _CODES.replace("\n", "|").split("|")
    if entry.strip()
    for code, isos in [entry.split()]
}
# ISO 639-3 -> Whisper's code.
WHISPER_CODES = {iso: code for code, isos in WHISPER_LANGUAGES.items() for iso in isos}
