"""What an answer says of itself: its usage, its model, its tier.

    values, tokens, costs, tools ◄ chat responses messages gemini ollama images audio ◄ generic ◄ families
    framing, withholding         ◄ stream (an answer while it passes) ◄ answers (an answer in one piece)
    spoken                       ◄ streamed (what was put out, where no usage came)

Every function here takes what a stranger sent and never raises.
"""

from metering.reading.answers import read_answer
from metering.reading.stream import StreamReader
from metering.reading.streamed import Streamed, streamed_text

__all__ = ["StreamReader", "Streamed", "read_answer", "streamed_text"]
