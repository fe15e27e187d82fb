"""The Ansible role: what its template writes is what MUTT reads, and the linter has nothing to say."""

import re
import shutil
import subprocess
from pathlib import Path

import jinja2
import pytest
import yaml

from mutt.settings import read_env_file
from tests.appliance.conftest import CHECKOUT

ANSIBLE = CHECKOUT / "ansible"


def rendered(assignments: dict[str, object], file: Path) -> dict[str, str]:
    """What MUTT reads from a file that the role's template wrote."""
    environment = jinja2.Environment(trim_blocks=True, undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701 - no HTML
    environment.filters["comment"] = lambda text: f"#\n# {text}\n#"
    environment.tests["regex"] = lambda text, pattern: re.search(pattern, text) is not None
    template = environment.from_string((ANSIBLE / "roles/mutt/templates/mutt.env.j2").read_text())
    file.write_text(template.render(mutt_assignments=assignments, ansible_managed="Ansible managed"))
    values, problems = read_env_file(file)
    assert problems == []
    return values


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("redis.example.com", "redis.example.com"),
        (True, "true"),
        (False, "false"),
        (6379, "6379"),
        (0.5, "0.5"),
        (["timestamp", "message", "hostname"], "timestamp,message,hostname"),
        ("", ""),
        ("two words", "two words"),
        ("# no comment", "# no comment"),
        ("'quoted'", "'quoted'"),
        ('say "yes"', 'say "yes"'),
        ("back\\slash\\", "back\\slash\\"),
        ("$HOME `id` %s", "$HOME `id` %s"),
        ("schlüssel", "schlüssel"),
    ],
)
def test_a_value_is_read_as_it_was_given(value: object, read: str, tmp_path: Path) -> None:
    assert rendered({"VARIABLE": value}, tmp_path / "mutt.env") == {"VARIABLE": read}


def test_a_setting_that_is_null_is_left_out(tmp_path: Path) -> None:
    assert rendered({"REDIS_HOST": "here", "REDIS_PORT": None}, tmp_path / "mutt.env") == {"REDIS_HOST": "here"}


@pytest.mark.skipif(
    not shutil.which("ansible-lint"), reason="ansible-lint is missing (pip install ansible ansible-lint)"
)
def test_the_linter_has_nothing_to_say() -> None:
    done = subprocess.run(["ansible-lint", "--nocolor"], cwd=ANSIBLE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not shutil.which("ansible-playbook"), reason="ansible-playbook is missing (pip install ansible)")
@pytest.mark.parametrize("playbook", ["site.yml", "rolling.yml", "clients.yml"])
def test_a_playbook_can_be_read(playbook: str) -> None:
    command = ["ansible-playbook", "--syntax-check", "--inventory", "inventory.example.yml", playbook]
    done = subprocess.run(command, cwd=ANSIBLE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("role", ["mutt", "mutt_rsyslog", "mutt_snmptrapd"])
def test_every_variable_of_a_role_is_described_with_its_default(role: str) -> None:
    folder = ANSIBLE / "roles" / role
    defaults = yaml.safe_load((folder / "defaults/main.yml").read_text())
    options = yaml.safe_load((folder / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    described = {name: option["default"] for name, option in options.items() if "default" in option}
    made = {name: value for name, value in defaults.items() if not (isinstance(value, str) and "{{" in value)}
    assert described == made
    assert set(defaults) | {name for name, option in options.items() if option.get("required")} == set(options)


def test_the_role_has_the_selinux_module_of_the_package() -> None:
    module = "mutt-rsyslog.cil"
    in_package = (CHECKOUT / "rpm/share/selinux" / module).read_text()
    assert (ANSIBLE / "roles/mutt_rsyslog/files" / module).read_text() == in_package
