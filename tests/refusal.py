"""The check that a call is refused as users see it: an error of ours whose one line says why."""

from collections.abc import Callable
from typing import Any

import pytest


def refuses(error: type[Exception], match: str, call: Callable[..., Any], *given: Any, **options):
    """Assert that `call` raises `error` in one line that matches."""
    with pytest.raises(error, match=match) as caught:
        call(*given, **options)
    assert "\n" not in str(caught.value), match


def changed(content: bytes, place: float = 0.5) -> bytes:
    """The bytes with one bit turned, at a share of their length."""
    turned = bytearray(content)
    turned[int(place * len(turned))] ^= 1
    return bytes(turned)
