"""The product that the widget configures. A real service would keep one for each customer."""

from collections.abc import Mapping
from typing import Any

CONFIG: dict[str, Any] = {
    "title": "Design your desk",
    "currency": "EUR",
    "base_price": 340,
    "options": [
        {
            "name": "size",
            "label": "Size",
            "choices": [
                {"value": "120", "label": "120 × 60 cm", "price": 0},
                {"value": "160", "label": "160 × 80 cm", "price": 120},
                {"value": "200", "label": "200 × 90 cm", "price": 210},
            ],
        },
        {
            "name": "wood",
            "label": "Wood",
            "choices": [
                {"value": "ash", "label": "Ash", "price": 0},
                {"value": "oak", "label": "Oak", "price": 90},
                {"value": "walnut", "label": "Walnut", "price": 180},
            ],
        },
    ],
}
_PRICES: dict[str, dict[str, int]] = {
    option["name"]: {choice["value"]: choice["price"] for choice in option["choices"]}
    for option in CONFIG["options"]
}


def unknown_choices(choices: Mapping[str, Any]) -> list[str]:
    """Return the names of the options that are missing, superfluous or given an unknown value."""
    missing_or_wrong = [name for name, prices in _PRICES.items() if choices.get(name) not in prices]
    return missing_or_wrong + [name for name in choices if name not in _PRICES]


def price_of(choices: Mapping[str, str]) -> int:
    """Return what a desk costs. We don't trust the browser's sum."""
    base: int = CONFIG["base_price"]
    return base + sum(_PRICES[name][value] for name, value in choices.items())
