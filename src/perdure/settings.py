"""Everything that can be set: read once, from `PERDURE_*` environment variables, and listed in `docs/settings.md`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, FilePath, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from perdure.telemetry import LogFormat


class Settings(BaseSettings):
    """Read by the command line and handed to `app.py`; nothing below knows it. An empty variable counts as unset.

    Raises pydantic's ValidationError, which names the setting and never repeats its value.
    """

    model_config = SettingsConfigDict(
        env_prefix="PERDURE_",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
        validate_default=True,
    )

    # ── where ──

    host: str = "127.0.0.1"
    """Address that the server listens on. `0.0.0.0` lets other machines in."""
    port: int = Field(default=4000, ge=0, le=65535)
    """Port that the server listens on. 0 takes a free one."""
    data_dir: Path = Path(".perdure")
    """Folder for the embedded PostgreSQL and for files. Made when missing, readable by its owner only."""
    database_url: SecretStr | None = None
    """`postgresql://…` of your own PostgreSQL (15 or newer). Unset: an embedded one in the data folder."""
    database_pool_size: int = Field(default=10, ge=2, le=500)
    """Most connections that one process holds for its work; a few more listen and renew leases."""

    public_url: str | None = None
    """Where clients reach the server, such as `https://runs.example.com`; signed URLs begin with it. Unset: what the
    request says."""

    # ── the files of runs ──

    blob_url: str | None = None
    """Where files are kept: `file:///folder`, `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`.
    Credentials come from the variables of the provider's own tools (`AWS_…`, `GOOGLE_…`, `AZURE_…`) or the machine's
    role. Unset: `blobs` in the data folder. All servers and workers must reach the same one."""
    blob_endpoint: str | None = None
    """Address of a store that speaks S3 and is not Amazon's (MinIO, R2, …)."""
    blob_region: str | None = None
    """Region of the S3 bucket. Unset: `AWS_REGION`, or us-east-1."""
    blob_access_key_id: str | None = None
    """Access key id for S3, in place of `AWS_ACCESS_KEY_ID`."""
    blob_secret_access_key: SecretStr | None = None
    """Secret access key for S3, in place of `AWS_SECRET_ACCESS_KEY`."""
    blob_max_bytes: int = Field(default=5 * 1024**3, ge=1)
    """Bytes that one file may have."""

    # ── who may call ──

    bootstrap_api_key: SecretStr | None = None
    """API key (`<kind>_<prefix>_<secret>`) that is made an administrator of the default project at start.
    `perdure dev` makes one up when it is unset."""
    jwt_secret: SecretStr | None = None
    """Shared secret for JSON Web Tokens signed with HS256; at least 32 bytes."""
    jwks_url: str | None = None
    """Address of the key set for tokens signed with RS256, ES256 or EdDSA."""
    jwt_issuer: str | None = None
    """What a token's `iss` must be. Unset: anything."""
    jwt_audience: str | None = None
    """What a token's `aud` must contain. Unset: a token that names an audience is refused."""

    # ── what is executed ──

    app: str | None = None
    """Python file or `module:attribute` with the `App` that holds your agents; loaded beside the demo agents."""
    engine: Literal["postgres", "temporal"] = "postgres"
    """What decides which worker runs what, and when: the database's own queue, or a Temporal cluster (extra
    `perdure[temporal]`). All servers and workers must name the same one."""
    temporal_address: str = "127.0.0.1:7233"
    """`host:port` of Temporal's front end."""
    temporal_namespace: str = "default"
    """Temporal namespace; it must exist."""
    temporal_task_queue: str = Field(default="perdure", min_length=1, max_length=200)
    """First part of the names of the task queues in Temporal. Deployments that share a namespace need one each."""
    temporal_api_key: SecretStr | None = None
    """API key for Temporal; with one the connection is encrypted."""
    temporal_tls: bool | None = None
    """Whether the connection to Temporal is encrypted. Unset: where a key or a file for TLS is given."""
    temporal_tls_ca: FilePath | None = None
    """File with the certificates (PEM) that Temporal's own is checked against. Unset: the machine's."""
    temporal_tls_cert: FilePath | None = None
    """File with the client's certificate (PEM) for mutual TLS; needs `PERDURE_TEMPORAL_TLS_KEY`."""
    temporal_tls_key: FilePath | None = None
    """File with the key (PEM) of the client's certificate."""
    temporal_tls_server_name: str | None = None
    """Name that Temporal's certificate must bear, where it is not the address's."""
    worker_concurrency: int = Field(default=32, ge=1, le=10_000)
    """Runs that one worker process executes at once."""
    lease_seconds: int | None = Field(default=None, ge=2, le=3600)
    """How long a worker may be silent before its run goes to another. Unset: 10 in `perdure dev`, 30 otherwise."""
    cancel_grace_seconds: float = Field(default=10, ge=0, le=3600)
    """What a worker gets to end a cancelled run before the server ends it."""
    drain_seconds: float = Field(default=20, ge=0, le=3600)
    """What a stopping process gives its runs and requests to finish; runs that do not are handed back."""
    flush_ms: int = Field(default=25, ge=1, le=5000)
    """How long an executor gathers events (tokens, mostly) before it appends them."""
    demo_model: str | None = None
    """Model for the agent `demo`, in Pydantic AI's form (`openai:gpt-5.2`). Unset: a scripted one that needs no key.
    Keys and addresses of providers come from their own variables, such as `OPENAI_API_KEY` and `OPENAI_BASE_URL`."""

    # ── streams ──

    heartbeat_seconds: float = Field(default=15, gt=0, le=300)
    """Pause after which a silent event stream gets a comment, so that proxies keep it open."""
    follower_buffer_bytes: int = Field(default=4 * 1024 * 1024, ge=64 * 1024)
    """Bytes that wait for one slow follower of a run before it reads the database at its own pace."""

    # ── what goes out ──

    egress_allow: Annotated[tuple[str, ...], NoDecode] = ()
    """Hosts, addresses and networks, separated by commas, that the server may call although they are private or
    loopback (agents by URL, push runtimes)."""

    # ── what an operator sees ──

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least important log line that is written."""
    log_format: LogFormat = LogFormat.AUTO
    """`json`, `pretty` (for a person), or `auto`: pretty in `perdure dev`, JSON otherwise."""
    ready_loop_lag_ms: int = Field(default=1000, ge=10)
    """`/readyz` fails while the event loop is later than this."""

    @field_validator("temporal_tls_key")
    @classmethod
    def _has_a_certificate(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if (value is None) != (info.data.get("temporal_tls_cert") is None):
            raise ValueError("PERDURE_TEMPORAL_TLS_CERT and PERDURE_TEMPORAL_TLS_KEY go together")
        return value

    @field_validator("database_url")
    @classmethod
    def _is_postgres(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("must begin with postgresql:// (only PostgreSQL is supported)")
        return value

    @field_validator("blob_url")
    @classmethod
    def _is_a_place(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("file:///", "s3://", "gs://", "az://", "memory:///")):
            raise ValueError("must begin with file:///, s3://, gs:// or az://")
        return value

    @field_validator("public_url")
    @classmethod
    def _is_web(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value.rstrip("/") if value is not None else None

    @field_validator("jwt_secret")
    @classmethod
    def _is_long(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value().encode()) < 32:
            raise ValueError("must have at least 32 bytes")
        return value

    @field_validator("egress_allow", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    def pretty_logs(self, *, dev: bool) -> bool:
        """Whether log lines are for a person."""
        return self.log_format is LogFormat.PRETTY or (self.log_format is LogFormat.AUTO and dev)


def environment() -> Mapping[str, str]:
    """The standard `OTEL_*` variables, for `perdure.telemetry.tracing.configure_tracing`."""
    return {name: value for name, value in os.environ.items() if name.startswith("OTEL_")}


def whole_environment() -> Mapping[str, str]:
    """All variables, for `perdure.execution.task_site.TaskSite`, which passes few of them on to tasks."""
    return dict(os.environ)
