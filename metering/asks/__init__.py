"""What a request asks for, as far as it decides the cost: the family of the call, its limits, its inputs.

family, ask ◄ fields ◄ limits, tools, inputs ◄ read (JSON), form (multipart)
"""

from metering.asks.ask import Ask, ImageInput
from metering.asks.family import Family
from metering.asks.form import read_form_ask
from metering.asks.read import read_ask

__all__ = ["Ask", "Family", "ImageInput", "read_ask", "read_form_ask"]
