"""Utterance ids of references, hypotheses and tables: what belongs to them, and who lacks some."""

from collections.abc import Mapping

from asr_dro_plugin.errors import UserError


def lacking(table: Mapping[str, object], utt_ids: list[str]) -> tuple[str, ...]:
    """Ids that are not in the table, sorted."""
    return tuple(sorted(utt_id for utt_id in utt_ids if utt_id not in table))


def check_ids(
    references: Mapping[str, str],
    hypotheses: Mapping[str, str],
    languages: Mapping[str, str] | None,
    durations: Mapping[str, float] | None,
) -> None:
    """Refuse references without utterances, tables that lack some, hypotheses of another set."""
    if not references:
        raise UserError("The reference holds no utterance. Make the data directory again.")
    if hypotheses and references.keys().isdisjoint(hypotheses):
        raise UserError(
            "Reference and hypothesis share no utterance id "
            f"({min(references)} against {min(hypotheses)}). Are they of the same set?"
        )
    for name, table in (("utt2lang", languages), ("utt2dur", durations)):
        absent = () if table is None else lacking(table, list(references))
        if absent:
            raise UserError(
                f"{name} lacks {len(absent)} of {len(references)} reference utterances "
                f"(first: {absent[0]}). Make the data directory again."
            )
