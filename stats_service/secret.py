"""The key of the tokens: the setting, or a random one that is kept beside the database for its owner alone."""

from metering import keyfile
from metering.errors import SettingError
from metering.settings import SECRET_MIN, Settings


def jwt_secret(settings: Settings) -> str:
    """Raises SettingError, StoreError."""
    if settings.jwt_secret is not None:
        return settings.jwt_secret
    path = keyfile.beside(settings.database_path, "jwt-secret")
    secret = keyfile.read_or_make(path)
    if len(secret) < SECRET_MIN:
        raise SettingError(
            "JWT_SECRET", f"cannot be read from {path}: delete the file, and a new one is made."
        )
    return secret
