"""The served models and what their cards say."""

import os
from collections.abc import Mapping

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from asr_dro_plugin.serving.answers import model_card
from asr_dro_plugin.serving.errors import bad_request
from asr_dro_plugin.serving.options import no_such_model
from asr_dro_plugin.serving.schemas import ConfigAnswer, ServedModel, ServedModels, responses
from asr_dro_plugin.serving.service import RETRY_LOADING, Service

# What the cards of ml4audio call them -> keys of our decoding configuration.
CARD_NAMES = {
    "alpha": "lm_weight", "beta": "word_score", "beam": "beam_size", "chunk": "chunk_length",
    "stride": "stride",
}  # fmt: skip
SHORT = (
    "languages", "blank_id", "token_type", "sample_rate", "frame_shift", "longest", "text_rule",
    "stack", "num_parameters", "training", "licence", "lm_dir",
)  # fmt: skip
_LOADING = {"model": ConfigAnswer, "description": "The models are loading"}
_IN_QUERY = {"parameters": [{
    "name": "model", "in": "query", "required": False, "schema": {"type": "string"},
    "description": "may be left out where one model is served",
}]}  # fmt: skip
_IN_PATH = {"parameters": [{
    "name": "model", "in": "path", "required": True, "schema": {"type": "string"},
}]}  # fmt: skip


def short_card(facts: Mapping) -> dict:
    """What a user of the model wants to know of it."""
    decode = facts.get("decode") or {}
    return {
        "vocab": facts.get("tokens"),
        **{name: decode.get(key) for name, key in CARD_NAMES.items()},
        "decode": decode,
        "hours": hours_of(facts.get("training") or {}),
        **{key: facts.get(key) for key in SHORT},
    }


def hours_of(training: Mapping) -> dict[str, float | None]:
    """Corpus -> hours that training was given of it; of an imported model, as its card says."""
    hours: dict[str, float | None] = {}
    for row in training.get("seen") or []:
        corpus = row.get("corpus", "")
        hours[corpus] = round(hours.get(corpus, 0.0) + row.get("seconds", 0.0) / 3600, 3)
    if hours:
        return hours
    imported = training.get("imported") or {}
    return {row.get("name", ""): row.get("hours") for row in imported.get("corpora") or []}


def asked_for(request: Request, models: Mapping[str, dict]) -> str:
    """The model of ``?model=``; the only one, where none is named."""
    name = request.query_params.get("model")
    if name is None and len(models) > 1:
        raise bad_request(f"Name a model: ?model= with one of {', '.join(models)}.", "model",
                          "missing_required_parameter")  # fmt: skip
    if name is not None and name not in models:
        raise no_such_model(name, models)
    return name or next(iter(models))


def router(service: Service) -> APIRouter:
    """The routes over a service."""
    routes, pool = APIRouter(tags=["models"]), service.pool

    def card(name: str) -> dict:
        path = service.settings.models.get(name, "")
        created = int(os.path.getmtime(path)) if os.path.exists(path) else 0
        return model_card(name, pool.models[name], created)

    @routes.get("/v1/models", response_model=ServedModels, responses=responses(500, 503))
    async def models() -> Response:
        """All models that are served."""
        service.check_loaded()
        return JSONResponse({"object": "list", "data": [card(name) for name in pool.models]})

    @routes.get("/v1/models/{model:path}", response_model=ServedModel, openapi_extra=_IN_PATH,
                responses=responses(404, 500, 503))  # fmt: skip
    async def model(request: Request) -> Response:
        """One model."""
        service.check_loaded()
        name = request.path_params["model"]
        if name not in pool.models:
            raise no_such_model(name, pool.models)
        return JSONResponse(card(name))

    documented = {"response_model": ConfigAnswer, "openapi_extra": _IN_QUERY,
                  "responses": responses(400, 404, 500, others={503: _LOADING})}  # fmt: skip

    def config(request: Request, is_full: bool) -> Response:
        if not pool.models:
            return JSONResponse({"status": "loading"}, 503, {"Retry-After": str(RETRY_LOADING)})
        name = asked_for(request, pool.models)
        facts = pool.models[name]
        answer = facts if is_full else short_card(facts)
        return JSONResponse({"status": "ready", "model": name, **answer})

    @routes.get("/model_config", **documented)
    async def model_config(request: Request) -> Response:
        """The short card: tokens, decoding, languages, hours of training by corpus."""
        return config(request, is_full=False)

    @routes.get("/inferencer_config", **documented)
    async def inferencer_config(request: Request) -> Response:
        """The whole card: the manifest of the exported model."""
        return config(request, is_full=True)

    return routes
