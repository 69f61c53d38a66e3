"""The API families that are metered."""

from enum import StrEnum


class Family(StrEnum):
    """What kind of call a path is; the value is how it is recorded and shown."""

    CHAT = "chat/completions"
    COMPLETIONS = "completions"
    RESPONSES = "responses"
    COMPACT = "responses/compact"
    EMBEDDINGS = "embeddings"
    IMAGE_GENERATION = "images/generations"
    IMAGE_EDIT = "images/edits"
    IMAGE_VARIATION = "images/variations"
    SPEECH = "audio/speech"
    TRANSCRIPTION = "audio/transcriptions"
    TRANSLATION = "audio/translations"
    MESSAGES = "messages"
    GEMINI = "generateContent"
    GEMINI_EMBED = "embedContent"
    OLLAMA_CHAT = "api/chat"
    OLLAMA_GENERATE = "api/generate"
    OLLAMA_EMBED = "api/embed"
