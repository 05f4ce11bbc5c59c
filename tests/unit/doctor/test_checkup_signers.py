"""What doctor says of who can sign."""

from datetime import timedelta

import pytest

from activities.doctor.looking import WrongError
from activities.doctor.signers import judge_signers
from tests.unit.authority.signing import NOW, POLICY, SoftKey, signers

BOB, CAROL = SoftKey("ssh-ed25519"), SoftKey("sk-ssh-ed25519@openssh.com")
IN_TWO_WEEKS = f'valid-before="{NOW + timedelta(days=14):%Y%m%d}Z"'


def test_one_person_more_than_needed_is_enough():
    file = signers(BOB.signer("bob"), CAROL.signer("carol"))
    assert judge_signers(POLICY, file, NOW) == "bob, carol can sign, by signers"


@pytest.mark.parametrize(
    ("lines", "policy", "what", "fix"),
    [
        (
            (BOB.signer("bob"),),
            POLICY,
            "bob could sign, and 2 people should be able to",
            "add keys of carol, dave",
        ),
        ((), POLICY, "nobody could sign, and 2 people should be able to", "add keys of bob, carol, dave"),
        ((BOB.signer("bob"), CAROL.signer("mallory")), POLICY, "bob could sign", "add keys of carol, dave"),
        (
            (BOB.signer("bob"), CAROL.signer("carol")),
            POLICY.model_copy(update={"hardware": True}),
            "carol could sign, and 2 people should be able to",
            "add keys of bob, dave",
        ),
        (
            (BOB.signer("bob", IN_TWO_WEEKS), CAROL.signer("carol")),
            POLICY,
            "the last key of bob expires within 30 days",
            "add their next keys",
        ),
    ],
)
def test_too_few_people_and_keys_that_expire_are_reported(lines, policy, what, fix):
    with pytest.raises(WrongError) as wrong:
        judge_signers(policy, signers(*lines), NOW)
    assert what in str(wrong.value)
    assert fix in (wrong.value.fix or "")


def test_a_next_key_that_follows_the_last_one_is_enough():
    file = signers(
        BOB.signer("bob", IN_TWO_WEEKS),
        SoftKey("ssh-ed25519").signer("bob", f'valid-after="{NOW + timedelta(days=13):%Y%m%d}Z"'),
        CAROL.signer("carol"),
    )
    assert "can sign" in judge_signers(POLICY, file, NOW)
