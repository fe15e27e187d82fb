"""The secrets of every program, from HashiCorp Vault or from a file, behind one interface."""

from mutt.credentials.base import Credentials
from mutt.credentials.file import FileCredentials
from mutt.credentials.vault import VaultCredentials
from mutt.settings import CredentialSettings

__all__ = ["Credentials", "open_credentials"]


def open_credentials(settings: CredentialSettings) -> Credentials:
    """The backend that MUTT_SECRETS_BACKEND names; it reads nothing before ``start`` or ``refresh``.

    Raises ConfigurationError when the settings can never lead to a secret.
    """
    return FileCredentials(settings) if settings.backend == "file" else VaultCredentials(settings)
