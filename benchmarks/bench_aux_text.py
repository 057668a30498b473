"""50,000 texts as phonemes and in Latin letters, in one process, against a process for each text.

The texts are words of eight languages in their own scripts, drawn with a fixed seed.  Fails where
phonemes take more than 30 s of the processor, Latin letters more than 120 s, or where a second run
gives other units.
"""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NUM, LIMITS, ALONE = 50_000, {"phonemes": 30.0, "romanised": 120.0}, 5
WORDS = {
    "eng": "the judge watched three lions and tigers in long grass",
    "fra": "les œufs du matin sont dans le jardin de ma voisine",
    "deu": "zwölf schöne bücher stehen im alten schrank am fenster",
    "pol": "cześć źdźbło trawy rośnie przy drodze do lasu",
    "rus": "щука плывёт в тихой воде у берега старой реки",
    "ell": "γεια σου το καράβι φεύγει από το λιμάνι αύριο",
    "hin": "नमस्ते दुनिया यह एक छोटी सी किताब है",
    "kor": "안녕하세요 오늘 날씨가 좋고 바람이 시원합니다",
}


def texts() -> tuple[dict[str, str], dict[str, str]]:
    """Utterance -> text, and its language."""
    draw, made, languages = random.Random(0), {}, {}
    for number in range(NUM):
        lang = draw.choice(sorted(WORDS))
        made[f"u{number}"] = " ".join(draw.choices(WORDS[lang].split(), k=draw.randint(3, 9)))
        languages[f"u{number}"] = lang
    return made, languages


def seconds_alone(kind: str) -> float:
    """Processor's seconds of a process that converts one text."""
    line = f"from asr_dro_plugin.text.auxiliary.convert import convert; convert({kind!r}, "
    line += "{'u': 'judge'}, {'u': 'eng'}, 'one')"
    before = os.times()
    for _ in range(ALONE):
        subprocess.run([sys.executable, "-c", line], check=True)
    after = os.times()
    spent = after.children_user + after.children_system
    return (spent - before.children_user - before.children_system) / ALONE


def main() -> int:
    """Print seconds and ratio for each tool."""
    from asr_dro_plugin.text.auxiliary.convert import convert, tool_of

    os.chdir(ROOT)  # where local/ is
    made, languages = texts()
    failed = False
    for kind, most in LIMITS.items():
        began = time.process_time()
        units, kept = convert(kind, made, languages, "bench")
        spent = time.process_time() - began
        some = {utt_id: made[utt_id] for utt_id in list(made)[:1000]}
        again, _ = convert(kind, some, languages, "again")
        alone = seconds_alone(kind)
        same = all(units[utt_id] == again[utt_id] for utt_id in some)
        failed |= spent > most or not same or bool(kept.languages)
        print(
            f"{tool_of(kind)}: {NUM:,} texts in {spent:.1f} s of the processor; a process for each "
            f"would take {alone:.2f} s a text, {alone * NUM / spent:,.0f} times as long; "
            f"{'the same' if same else 'OTHER'} units again"
        )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
