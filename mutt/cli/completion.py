"""``mutt-admin completion``: what a shell needs to complete commands and options."""

import click
from click.shell_completion import get_completion_class

WHERE = {
    "bash": "mutt-admin completion bash > /etc/bash_completion.d/mutt-admin",
    "zsh": 'mutt-admin completion zsh > "${fpath[1]}/_mutt-admin"',
    "fish": "mutt-admin completion fish > ~/.config/fish/completions/mutt-admin.fish",
}


@click.command()
@click.argument("shell", type=click.Choice(list(WHERE)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script for a shell.

    \b
    bash: mutt-admin completion bash > /etc/bash_completion.d/mutt-admin
    zsh:  mutt-admin completion zsh > "${fpath[1]}/_mutt-admin"
    fish: mutt-admin completion fish > ~/.config/fish/completions/mutt-admin.fish
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"there is no completion for {shell}")
    script = kind(ctx.find_root().command, {}, "mutt-admin", "_MUTT_ADMIN_COMPLETE")
    # source() would first start a bash to ask its version, which the shell that reads this says better itself.
    click.echo(script.source_template % script.source_vars())
