"""Which endpoints are metered, free, or refused because their cost cannot be known when they are called."""

import pytest

from addons.endpoints import Kind, as_asked, find
from metering.asks import Family

METERED = {
    "chat/completions": Family.CHAT,
    "completions": Family.COMPLETIONS,
    "responses": Family.RESPONSES,
    "responses/compact": Family.COMPACT,
    "embeddings": Family.EMBEDDINGS,
    "images/generations": Family.IMAGE_GENERATION,
    "images/edits": Family.IMAGE_EDIT,
    "images/variations": Family.IMAGE_VARIATION,
    "audio/speech": Family.SPEECH,
    "audio/transcriptions": Family.TRANSCRIPTION,
    "audio/translations": Family.TRANSLATION,
    "messages": Family.MESSAGES,
    "api/chat": Family.OLLAMA_CHAT,
    "api/generate": Family.OLLAMA_GENERATE,
    "openai/v1/chat/completions": Family.CHAT,
    "openai/responses": Family.RESPONSES,
    "openai/deployments/gpt/embeddings": Family.EMBEDDINGS,
    "deployments/gpt/chat/completions": Family.CHAT,
    "models/chat/completions": Family.CHAT,
    "engines/davinci/completions": Family.COMPLETIONS,
    "v1beta/openai/chat/completions": Family.CHAT,
    "anthropic/v1/messages": Family.MESSAGES,
    "extensions/chat/completions": Family.CHAT,
    "deployments/gpt/extensions/chat/completions": Family.CHAT,
    "fim/completions": Family.COMPLETIONS,
    "v2/chat": Family.OLLAMA_CHAT,
    "hf-inference/models/org/name/v1/chat/completions": Family.CHAT,
    "router/v2/anthropic/v1/messages": Family.MESSAGES,
    "novita/v3/openai/chat/completions": Family.CHAT,
    "api/v1/embeddings": Family.EMBEDDINGS,
    "v1/projects/p/locations/l/publishers/anthropic/models/claude-5:rawPredict": Family.MESSAGES,
    "tunedModels/mine:generateContent": Family.GEMINI,
    "models/gemini-embedding-001:embedContent": Family.GEMINI_EMBED,
    "models/gemini-embedding-001:batchEmbedContents": Family.GEMINI_EMBED,
    "v1beta/models/gemini-3-pro:generateContent": Family.GEMINI,
    "v1beta/models/gemini-3-pro:streamGenerateContent": Family.GEMINI,
}

FREE = [
    "moderations",
    "responses/input_tokens",
    "responses/resp_1/cancel",
    "files",
    "uploads",
    "uploads/u/parts",
    "vector_stores",
    "vector_stores/vs_1/files",
    "conversations",
    "conversations/c/items",
    "assistants",
    "threads",
    "threads/t/messages",
    "batches/b/cancel",
    "messages/count_tokens",
    "v1beta/models/gemini-3-pro:countTokens",
    "upload/v1beta/files",
    "chat/completions/c",
]

UNMETERED = [
    "batches",
    "messages/batches",
    "threads/runs",
    "threads/t/runs",
    "threads/t/runs/r/submit_tool_outputs",
    "fine_tuning/jobs",
    "videos",
    "videos/v/remix",
    "containers",
    "realtime/client_secrets",
    "realtime/sessions",
    "realtime/calls",
    "realtime",
    "live/sessions",
    "decisions",
    "agents/sessions",
    "evals/e/runs",
    "vector_stores/vs_1/search",
    "something/new",
    "chat/completions/c/more",
    "chat/completionsx",
    "async/chat/completions",
    "v1/async/chat/completions",
    "x/v1/files",
    "x/v1/chat/completions/c",
    "v1",
    "upload",
    "x/v1",
    "v1/projects/p/publishers/mistralai/models/m:rawPredict",
    "models",
    "responses/r/s",
    "v1beta/models/gemini-3-pro:predictLongRunning",
]


@pytest.mark.parametrize(("path", "family"), METERED.items())
def test_creating_calls_are_metered(path: str, family: Family) -> None:
    endpoint = find("POST", path.split("/"))

    assert (endpoint.kind, endpoint.family) == (Kind.METERED, family)


@pytest.mark.parametrize("path", FREE)
def test_what_providers_do_not_bill_is_free(path: str) -> None:
    assert find("POST", path.split("/")).kind is Kind.FREE


@pytest.mark.parametrize("path", UNMETERED)
def test_what_bills_later_or_is_unknown_is_not_metered(path: str) -> None:
    assert find("POST", path.split("/")).kind is Kind.UNMETERED


@pytest.mark.parametrize("odd", ["", " ", "\t", ";", ";x=y", "a;x", "a b", "\u00e9", "a/b"])
def test_what_an_upstream_may_take_for_nothing_is_no_id(odd: str) -> None:
    assert find("POST", ["chat", "completions", odd]).kind is not Kind.FREE
    assert find("POST", ["threads", odd]).kind is not Kind.FREE


@pytest.mark.parametrize("path", [*METERED, *UNMETERED])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE"])
def test_reading_an_answer_again_is_free(method: str, path: str) -> None:
    assert find(method, path.split("/")).kind is Kind.FREE


@pytest.mark.parametrize("method", ["PUT", "PATCH", "BREW", "post"])
def test_a_method_that_nobody_uses_does_not_open_a_door(method: str) -> None:
    assert find(method, ["chat", "completions"]).kind is Kind.UNMETERED


def test_a_path_names_its_model_where_it_has_one() -> None:
    assert find("POST", ["deployments", "my-gpt", "embeddings"]).model == "my-gpt"
    assert find("POST", ["engines", "davinci", "completions"]).model == "davinci"
    assert find("POST", ["v1beta", "models", "gemini-3-pro:generateContent"]).model == "gemini-3-pro"
    assert find("POST", ["models", "chat", "completions"]).model is None


@pytest.mark.parametrize("path", [["conversations"], ["conversations", "c"]])
def test_a_conversation_is_free_unless_its_body_asks_a_model(path: list[str]) -> None:
    free = find("POST", path)

    for body in (b"", b" ", b"{}", b'{"items":[{"inputs":1}],"metadata":{}}'):
        assert as_asked(free, body) is free
    for body in (b'{"model":"m","inputs":"x"}', b'{"\\u0069nputs":"x"}', b'{"inputs":1', b"\x1f\x8b"):
        assert as_asked(free, body).kind is Kind.UNMETERED
    assert as_asked(find("GET", path), b'{"inputs":1}').kind is Kind.FREE
    assert as_asked(find("POST", ["files"]), b'{"inputs":1}').kind is Kind.FREE


def test_only_the_streaming_verb_of_gemini_says_that_the_answer_is_a_stream() -> None:
    assert find("POST", ["models", "gemini:streamGenerateContent"]).streams
    assert not find("POST", ["models", "gemini:generateContent"]).streams


def test_a_row_records_a_pattern_instead_of_ids() -> None:
    assert find("POST", ["threads", "thread_123", "runs"]).name == "threads/*/runs"
    assert find("POST", ["fine_tuning", "jobs", "ft-1", "resume"]).name == "fine_tuning/jobs/*/resume"
