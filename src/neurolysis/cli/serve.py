"""The commands ``serve`` and ``user``: the workstation in a browser, and who may enter it."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from neurolysis.cli.reply import Json, Reply
from neurolysis.errors import InputError

SECRET = "NEUROLYSIS_OIDC_SECRET"  # noqa: S105 (the name of a variable)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(serve)
    app.add_typer(users, name="user", help="Accounts of the workstation.")


users = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


def serve(
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; any but this machine's own needs --accounts.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port; 0 takes any free one.")] = 8717,
    store: Annotated[Path | None, typer.Option("--store", help="Folder of the store.")] = None,
    accounts: Annotated[
        bool, typer.Option("--accounts", help="Ask everybody for a name and a password.")
    ] = False,
    public_url: Annotated[
        str | None, typer.Option("--public-url", help="The https address that people type.")
    ] = None,
    tls_certificate: Annotated[Path | None, typer.Option("--tls-certificate", help="PEM file.")] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", help="PEM file.")] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Processes that simulate; one a core if left out.")
    ] = None,
    compute: Annotated[
        int | None,
        typer.Option("--compute", help="Processes that answer the page; one a core up to 4 if left out."),
    ] = None,
    oidc_issuer: Annotated[
        str | None,
        typer.Option(
            "--oidc-issuer",
            help="Address of a single sign-on; its secret is read from NEUROLYSIS_OIDC_SECRET.",
        ),
    ] = None,
    oidc_client: Annotated[
        str | None, typer.Option("--oidc-client", help="Id of this server at the single sign-on.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="One line a request on standard error.")] = False,
) -> Reply:
    """Open the workstation in a browser: prints a link and serves until it is stopped (Ctrl-C)."""
    from neurolysis.quantity import parse
    from neurolysis.workstation.run import log_to_stderr
    from neurolysis.workstation.run import serve as run
    from neurolysis.workstation.settings import Settings

    log_to_stderr(verbose)
    told: dict[str, Any] = {
        "host": host, "port": port, "folder": store, "accounts": accounts, "public_url": public_url,
        "tls_certificate": tls_certificate, "tls_key": tls_key,
        "workers": _cores() if workers is None else workers,
        "compute": min(_cores(), 4) if compute is None else compute, "oidc": _oidc(oidc_issuer, oidc_client),
    }  # fmt: skip
    with suppress(KeyboardInterrupt):  # how a server ends when all is well
        run(parse(Settings, told, "serve"), _say)
    return Reply(data={"ended": True}, text="ended")


def _say(link: str) -> None:
    sys.stdout.write(f"Open this link in a browser on this machine:\n\n    {link}\n\nStop with Ctrl-C.\n")
    sys.stdout.flush()


def _cores() -> int:
    return os.cpu_count() or 1


def _oidc(issuer: str | None, client: str | None) -> dict[str, str] | None:
    if issuer is None and client is None:
        return None
    if issuer is None or client is None:
        raise InputError(
            "single sign-on needs both", where="serve", allowed="--oidc-issuer and --oidc-client"
        )
    return {"issuer": issuer, "client_id": client, "client_secret": os.environ.get(SECRET, "")}


@users.command("add")
def add_user(
    name: Annotated[str, typer.Argument(help="The name that is typed to sign in.")],
    role: Annotated[
        str, typer.Option("--role", help="clinician, planner, registrar, patient or administrator.")
    ],
    store: Annotated[Path | None, typer.Option("--store", help="Folder of the store.")] = None,
    identity: Annotated[
        str, typer.Option("--identity", help="issuer|subject of single sign-on; then no password.")
    ] = "",
    json_: Json = False,
) -> Reply:
    """Make an account; the password is asked for, or read from standard input."""
    from neurolysis.app.accounts import add_account

    password = "" if identity else _password()
    user = add_account(store, name, role, password, identity)  # type: ignore[arg-type] # checked there
    return Reply(data=user, text=f"{user['name']} may sign in as {user['role']}")


@users.command("list")
def list_users(
    store: Annotated[Path | None, typer.Option("--store", help="Folder of the store.")] = None,
    json_: Json = False,
) -> Reply:
    """Everybody with an account."""
    from neurolysis.app.accounts import list_accounts

    found = list_accounts(store)
    lines = [f"{one['name']}  {one['role']}{'  closed' if one['disabled'] else ''}" for one in found]
    return Reply(data={"users": found}, text="\n".join(lines) or "no accounts yet")


def _password() -> str:
    """Typed twice at a terminal, else one line of standard input; never an argument, which others can see."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
