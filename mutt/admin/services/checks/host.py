"""What lies on the host itself: settings, secrets, certificates and disks."""

import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

from mutt.admin.services.checks.certificates import CertificateError, expiry
from mutt.admin.services.checks.finding import failed, ok, warning
from mutt.admin.shapes.overview import Finding
from mutt.credentials import Credentials
from mutt.errors import CredentialsError
from mutt.settings import Host

NEEDED_SECRETS = ("INGEST_API_KEY", "WEBUI_API_KEY", "REDIS_PASS_CURRENT", "DB_PASS_CURRENT")
EXPIRES_SOON_DAYS = 30
LITTLE_ROOM_SHARE = 0.1
NO_ROOM_SHARE = 0.02
LOG_DIR = Path("/var/log/mutt")
SPOOL_DIR = Path("/var/spool/rsyslog")


def check_settings(host: Host) -> list[Finding]:
    """Whether mutt.env can be read and every value used."""
    fix = "correct mutt.env, then: mutt-admin config check /etc/mutt/mutt.env"
    if host.mistakes:
        return [failed("settings", mistake, fix) for mistake in host.mistakes]
    return [ok("settings", "every setting can be read and used")]


def check_secrets(host: Host, credentials: Credentials) -> list[Finding]:
    """Whether the secrets can be read, and which are missing."""
    settings = host.credentials
    in_file = settings.backend == "file"
    try:
        names = [name for name in credentials.names() if credentials.get(name.removesuffix("_CURRENT")) is not None]
    except CredentialsError as error:
        fix = (
            f"chown root:mutt {settings.file} && chmod 0640 {settings.file}, with one NAME=VALUE a line in it"
            if in_file
            else f"check VAULT_ADDR, VAULT_ROLE_ID and {settings.vault_secret_id_file}; "
            f"then: curl {settings.vault_addr or 'VAULT_ADDR'}/v1/sys/health"
        )
        return [failed("secrets", str(error), fix)]
    needed = [*NEEDED_SECRETS, *([] if host.webhook.auth == "none" else ["MOOG_API_KEY"])]
    where = str(settings.file) if in_file else f"Vault at {settings.vault_secrets_path}"
    missing = [name for name in needed if name not in names]
    if missing:
        change = f"add {missing[0]}=VALUE to {where}" if in_file else f"vault kv patch {settings.vault_secrets_path}"
        fix = change if in_file else f"{change} {missing[0]}=VALUE"
        return [warning("secrets", f"{where} lacks {', '.join(missing)}", fix)]
    return [ok("secrets", f"all secrets are in {where}")]


def certificate_files(host: Host) -> dict[str, Path]:
    """The certificates that the settings name, by their setting."""
    files = {
        "SERVER_TLS_CERT_PATH": host.server.tls_cert_path,
        "SERVER_TLS_CLIENT_CA_PATH": host.server.tls_client_ca_path,
        "REDIS_CA_CERT_PATH": host.redis.ca_cert_path,
        "REDIS_CLIENT_CERT_PATH": host.redis.client_cert_path,
        "DB_TLS_CA_CERT_PATH": host.database.tls_ca_cert_path,
        "DB_TLS_CLIENT_CERT_PATH": host.database.tls_client_cert_path,
        "VAULT_CA_CERT_PATH": host.credentials.vault_ca_cert_path,
        "MOOG_CA_CERT_PATH": host.webhook.ca_cert_path,
    }
    return {variable: file for variable, file in files.items() if file}


def check_certificates(host: Host) -> list[Finding]:
    """Whether every certificate and key that the settings name can be read, and when the certificates expire."""
    private = {
        "SERVER_TLS_KEY_PATH": host.server.tls_key_path,
        "REDIS_CLIENT_KEY_PATH": host.redis.client_key_path,
        "DB_TLS_CLIENT_KEY_PATH": host.database.tls_client_key_path,
    }
    findings = [_certificate(variable, file) for variable, file in certificate_files(host).items()]
    findings += [_key(variable, file) for variable, file in private.items() if file]
    return findings or [ok("certificates", "the settings name no certificate")]


def _certificate(variable: str, file: Path) -> Finding:
    try:
        expires = expiry(file)
    except (OSError, CertificateError) as error:
        return failed("certificates", f"{variable}: {file} cannot be used: {_words(error)}", _readable(file))
    days = (expires.timestamp() - time.time()) / 86400
    when = f"{variable}: {file} expires on {expires:%Y-%m-%d}"
    renew = f"put a new certificate into {file} and restart: supervisorctl restart all"
    if expires <= datetime.now(UTC):
        return failed("certificates", f"{variable}: {file} expired on {expires:%Y-%m-%d}", renew)
    return warning("certificates", when, renew) if days < EXPIRES_SOON_DAYS else ok("certificates", when)


def _key(variable: str, file: Path) -> Finding:
    try:
        with file.open("rb") as content:
            content.read(1)
    except OSError as error:
        return failed("certificates", f"{variable}: {file} cannot be read: {_words(error)}", _readable(file))
    return ok("certificates", f"{variable}: {file} can be read")


def _readable(file: Path) -> str:
    return f"chown root:mutt {file} && chmod 0640 {file}, and check that the setting names the right file"


def _words(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def check_disks(host: Host) -> list[Finding]:
    """Whether the file systems that MUTT and its relay write to have room."""
    findings = []
    for folder in (host.general.run_dir, LOG_DIR, SPOOL_DIR):
        try:
            usage = shutil.disk_usage(folder)
        except OSError:
            continue  # Not every host has each of them.
        free = usage.free / usage.total if usage.total else 1.0
        sentence = f"the file system of {folder} has {usage.free / 1e9:.1f} GB ({free:.0%}) free"
        fix = f"free some room; what takes it: du -xh --max-depth=2 {folder} | sort -h | tail"
        judge = failed if free < NO_ROOM_SHARE else warning
        findings.append(judge("disk", sentence, fix) if free < LITTLE_ROOM_SHARE else ok("disk", sentence))
    return findings
