"""The fields of a request, read: model, languages, switches; refused by name where they cannot be.

A field that would be without effect is refused, but for those that OpenAI's clients send by habit:
they are named in the answer's header ``IGNORED``.
"""

from collections.abc import Collection, Mapping, Sequence

from asr_dro_plugin.errors import in_one_line, suggestion
from asr_dro_plugin.serving.errors import ApiError, bad_request
from asr_dro_plugin.serving.protocol import Job
from asr_dro_plugin.serving.service import Upload
from asr_dro_plugin.serving.uploads import Form
from asr_dro_plugin.text.whisper_languages import WHISPER_LANGUAGES

IGNORED = "x-ignored-parameters"
FREE = ("", "auto", "free")  # languages that leave the choice to the model
TRUE, FALSE = ("true", "1"), ("false", "0", "")


def check_names(form: Form, known: Collection[str], unlisted: Collection[str] = ()) -> None:
    """Refuse a field that no route of this kind has.

    Args:
        known: fields, to be told in the message.
        unlisted: fields that pass as well.
    """
    for name in form.fields:
        if name not in known and name not in unlisted:
            shown = in_one_line(name, 40)
            raise bad_request(f"There is no field '{shown}'.{suggestion(name, known)} "
                              f"Fields: file, {', '.join(sorted(known))}.",
                              shown, "unknown_parameter")  # fmt: skip


def switch(form: Form, name: str, default: bool = False) -> bool:
    """A field that is true or false."""
    value = form.one(name)
    if value is None:
        return default
    if value.lower() not in TRUE + FALSE:
        raise bad_request(f"'{name}' must be true or false.", name)
    return value.lower() in TRUE


def model_of(form: Form, models: Mapping[str, object]) -> str:
    """The model that is asked for; the only one, where none is named.

    Raises:
        ApiError: 404 for one that is not served, 400 where one must be named.
    """
    name = form.one("model")
    if name in models:
        return name
    if name:
        raise no_such_model(name, models)
    if len(models) == 1:
        return next(iter(models))
    raise bad_request(f"Name a model: {', '.join(models)}.", "model", "missing_required_parameter")


def no_such_model(name: str, models: Collection[str]) -> ApiError:
    """404 with the names that there are."""
    message = f"The model '{in_one_line(name, 60)}' does not exist here.{suggestion(name, models)}"
    return ApiError(404, f"{message} Models: {', '.join(models)}.", "model_not_found", "model")


def known_languages(facts: Mapping) -> list[str]:
    """The languages that a model may be told of, by the facts of its manifest."""
    return list(facts.get("languages") or [])


def job_of(upload: Upload, vad: bool, times: bool = True) -> tuple[Job, list[str]]:
    """What an upload asks for, and the languages of the model that it asks.

    Args:
        vad: whether silence is left out.
        times: whether its answer has times.
    """
    models = upload.service.pool.models
    model = model_of(upload.form, models)
    known = known_languages(models[model])
    request_id = upload.request.scope["state"]["request_id"]
    return Job(request_id, model, language_of(upload.form, known), vad, times), known


def language_of(form: Form, known: Sequence[str]) -> str | list[str] | None:
    """The language that is forced, those to choose from, or None for a free choice.

    Args:
        form: with ``language``, or ``languages``: ISO 639-3 as the model has them, or ISO 639-1.
        known: the model's languages.

    Raises:
        ApiError: both fields at once, or a language that the model does not know.
    """
    one, several = form.one("language"), form.fields.get("languages", [])
    if one is not None and several:
        raise bad_request("Give 'language' or 'languages', not both.", "languages")
    if several:
        found = [language_code(word, known, "languages") for word in several]
        return list(dict.fromkeys(filter(None, found))) or None
    return None if one is None else language_code(one, known, "language")


def language_code(word: str, known: Sequence[str], param: str) -> str | None:
    """A language of the model's; None for a free choice, and where the model has no languages."""
    plain = word.strip().lower()
    if plain in FREE or not known:
        return None
    code = plain.replace("_", "-").partition("-")[0]  # en-GB is English
    isos = [code, *WHISPER_LANGUAGES.get(code, ())]
    found = next((iso for iso in isos if iso in known), None)
    if found is None:
        raise bad_request(f"The model does not know the language '{in_one_line(word, 20)}'. "
                          f"It knows {' '.join(known)}.", param)  # fmt: skip
    return found


def ignored_header(form: Form, names: Collection[str], known: Sequence[str]) -> dict[str, str]:
    """The header that names the fields without effect; empty where there is none."""
    ignored = [name for name in names if name in form.fields]
    if not known:  # one language, or text without any: there is nothing to choose
        ignored += [name for name in ("language", "languages") if name in form.fields]
    return {IGNORED: ", ".join(ignored)} if ignored else {}
