"""Creating, changing, switching and deleting limiters from their forms. Each ends in a redirect that confirms it."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from metering.errors import FieldError
from metering.limiters import Limiter
from metering.periods import Period
from stats_service.pages import forms, rendering, snippets
from stats_service.pages.forms import LimiterForm
from stats_service.pages.site import Site

Typed = Mapping[str, str]
_UNACCEPTABLE = 422


def new(site: Site, request: Request) -> Response:
    """An empty form."""
    return _form(site, request, forms.new_form(site.services.settings.openai_api_base_url))


def create(site: Site, request: Request, typed: Typed) -> Response:
    """The new limiter's address and its first call come next."""
    form = forms.typed_form(typed, None)
    try:
        limiter = site.services.limiters.create(**forms.read_form(form))
    except FieldError as fault:
        return _form(site, request, form.with_error(fault), _UNACCEPTABLE)
    return rendering.redirect(f"/limiters/{limiter.id}/connect", f"“{limiter.name}” was created.")


def edit(site: Site, request: Request) -> Response:
    """The form of a limiter as it is."""
    return _form(site, request, forms.form_of(_limiter(site, request)))


def save(site: Site, request: Request, typed: Typed) -> Response:
    """In force on the proxy's next admission."""
    limiter = _limiter(site, request)
    form = forms.typed_form(typed, limiter)
    try:
        after = site.services.limiters.update(limiter.id, **forms.changes(form))
    except FieldError as fault:
        return _form(site, request, form.with_error(fault), _UNACCEPTABLE)
    text = "Nothing was changed." if after.version == limiter.version else f"“{after.name}” was saved."
    return rendering.redirect(_back(typed), text)


def turn(site: Site, request: Request, typed: Typed) -> Response:
    """A limiter on or off."""
    limiter_id, _, wanted = typed.get("turn", "").partition(" ")
    limiter = site.services.limiters.update(limiter_id, is_active=wanted == "on")
    text = "is active again" if limiter.is_active else "is inactive: all its calls are refused"
    return rendering.redirect(_back(typed), f"“{limiter.name}” {text}.")


def confirm_delete(site: Site, request: Request) -> Response:
    """Asks for the name."""
    limiter = _limiter(site, request)
    return site.page(request, "limiter_delete.html", limiter=limiter, error="", typed="", **_places(request))


def delete(site: Site, request: Request, typed: Typed) -> Response:
    """Only where the name was typed."""
    limiter = _limiter(site, request)
    name = typed.get("confirm", "").strip()
    if name != limiter.name:
        error = "This is not the name of the limiter."
        return site.page(
            request,
            "limiter_delete.html",
            status=_UNACCEPTABLE,
            limiter=limiter,
            error=error,
            typed=name,
            **_places(request),
        )
    site.services.limiters.delete(limiter.id)
    back = _back(typed)
    # Its own page is gone.
    return rendering.redirect("/" if limiter.id in back else back, f"“{limiter.name}” was deleted.")


def confirm_rotation(site: Site, request: Request) -> Response:
    """Says what a new code does."""
    return site.page(request, "limiter_rotate.html", limiter=_limiter(site, request), section="Limiters")


def rotate(site: Site, request: Request, typed: Typed) -> Response:
    """A new code; its address is shown next."""
    limiter = site.services.limiters.rotate_code(request.path_params["id"])
    text = f"“{limiter.name}” has a new address. The old one is refused from now on."
    return rendering.redirect(f"/limiters/{limiter.id}/connect", text)


def connect(site: Site, request: Request) -> Response:
    """The address and the first call in three languages."""
    limiter = _limiter(site, request)
    url = site.proxy_url(limiter)
    return site.page(
        request,
        "limiter_connect.html",
        limiter={"id": limiter.id, "name": limiter.name, "base_url": limiter.base_url, "proxy_url": url},
        snippets=snippets.snippets(url),
        **_places(request),
    )


def _form(site: Site, request: Request, form: LimiterForm, status: int = 200) -> Response:
    return site.page(
        request,
        "limiter_form.html",
        status=status,
        form=form,
        periods=list(Period),
        enforcements=forms.ENFORCEMENTS,
        **_places(request),
    )


def _places(request: Request) -> dict[str, Any]:
    return {"section": "Limiters", "back": rendering.local_path(request.query_params.get("back", "/"))}


def _back(typed: Typed) -> str:
    return rendering.local_path(typed.get("back", "/"))


def _limiter(site: Site, request: Request) -> Limiter:
    return site.services.limiters.get(request.path_params["id"])
