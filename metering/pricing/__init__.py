"""The price book: `pricing.yaml`, loaded and validated, and what a call costs by it.

document, rates ◄ tariff  ◄ load ◄ book ◄ file
rates, fees     ◄ row, model ◄ load
names           ◄ book
row             ◄ cost
"""

from metering.pricing.book import PriceBook
from metering.pricing.cost import Cost, CostLine, cost
from metering.pricing.fees import Fees
from metering.pricing.file import PriceBookFile
from metering.pricing.rates import ImageRates, Rates
from metering.pricing.row import PriceRow

__all__ = [
    "Cost",
    "CostLine",
    "Fees",
    "ImageRates",
    "PriceBook",
    "PriceBookFile",
    "PriceRow",
    "Rates",
    "cost",
]
