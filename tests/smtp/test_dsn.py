"""Delivery status codes: Haraka's table of names, codes and texts."""

import pytest

from mta.smtp.dsn import DSN

# name = code enhanced, from the constructors of haraka-dsn
TABLE = """
unspecified=450 4.0.0, addr_unspecified=450 4.1.0, addr_bad_dest_mbox=550 5.1.1, no_such_user=550 5.1.1,
addr_bad_dest_system=550 5.1.2, addr_bad_dest_syntax=550 5.1.3, addr_dest_ambigous=450 4.1.4, addr_rcpt_ok=250 2.1.5,
addr_mbox_moved=550 5.1.6, addr_bad_from_syntax=550 5.1.7, addr_bad_from_system=550 5.1.8, mbox_unspecified=450 4.2.0,
mbox_disabled=550 5.2.1, mbox_full=450 4.2.2, mbox_msg_too_long=550 5.2.3, mbox_list_expansion_problem=450 4.2.4,
sys_unspecified=450 4.3.0, sys_disk_full=450 4.3.1, sys_not_accepting_mail=450 4.3.2, sys_not_supported=450 4.3.3,
sys_msg_too_big=550 5.3.4, sys_incorrectly_configured=450 4.3.5, net_unspecified=450 4.4.0, net_no_answer=450 4.4.1,
net_bad_connection=450 4.4.2, net_directory_server_failed=450 4.4.3, temp_resolver_failed=450 4.4.3,
net_unable_to_route=550 5.4.4, net_system_congested=450 4.4.5, net_routing_loop=550 5.4.6, too_many_hops=550 5.4.6,
net_delivery_time_expired=550 5.4.7, proto_unspecified=450 4.5.0, proto_invalid_command=550 5.5.1,
proto_syntax_error=550 5.5.2, proto_too_many_rcpts=450 4.5.3, proto_invalid_cmd_args=550 5.5.4, proto_wrong_version=450 4.5.5,
media_unspecified=450 4.6.0, media_unsupported=550 5.6.1, media_conv_prohibited=550 5.6.2, media_conv_unsupported=450 4.6.3,
media_conv_lossy=450 4.6.4, media_conv_failed=450 4.6.5, sec_unspecified=450 4.7.0, sec_unauthorized=550 5.7.1,
bad_sender_ip=550 5.7.1, relaying_denied=550 5.7.1, sec_list_expn_prohibited=550 5.7.2, sec_conv_failed=550 5.7.3,
sec_feature_unsupported=550 5.7.4, sec_crypto_failure=550 5.7.5, sec_crypto_algo_unsupported=450 4.7.6,
sec_msg_integrity_failure=550 5.7.7, auth_succeeded=235 2.7.0, auth_pass_transition_needed=432 4.7.12, auth_temp_fail=454 4.7.0,
auth_too_weak=534 5.7.9, auth_invalid=535 5.7.8, auth_exch_too_long=500 5.5.6, auth_required=530 5.7.0,
auth_crypt_required=538 5.7.11, addr_null_mx=556 5.1.10, sec_null_mx_sender=550 5.7.27, sec_dkim_no_pass=550 5.7.20,
sec_dkim_not_acceptable=550 5.7.21, sec_dkim_no_author_match=550 5.7.22, sec_spf_fail=550 5.7.23, sec_spf_error=451 4.7.24,
sec_rdns_fail=550 5.7.25, sec_multi_auth_fail=550 5.7.26
"""
ROWS = [row.strip().replace("=", " ").split() for row in TABLE.split(",")]


@pytest.mark.parametrize(("name", "code", "enhanced"), ROWS)
def test_constructor(name: str, code: str, enhanced: str) -> None:
    dsn = getattr(DSN, name)()
    assert (dsn.code, dsn.enhanced) == (int(code), enhanced)
    assert dsn.lines != ("",)
    assert str(getattr(DSN, name)("because")) == f"{enhanced} because"


@pytest.mark.parametrize(
    ("dsn", "code", "text"),
    [
        (DSN.sec_unauthorized("hi", 451), 451, "4.7.1 hi"),
        (DSN.sec_unauthorized("hi", 999), 550, "5.7.1 hi"),
        (DSN.sec_unauthorized("hi", 354), 550, "5.7.1 hi"),
        (DSN.addr_bad_dest_mbox(), 550, "5.1.1 Bad destination mailbox address"),
        (DSN.no_such_user(), 550, "5.1.1 No such user"),
        (DSN.relaying_denied(), 550, "5.7.1 Relaying denied"),
        (DSN.temp_resolver_failed(), 450, "4.4.3 Temporary address resolution failure"),
        (DSN.auth_required(), 530, "5.7.0 Authentication required"),
        (DSN.mbox_full(["full", "really"]), 450, "4.2.2 full\n4.2.2 really"),
        (DSN.create(553, "moved", 1, 6), 553, "5.1.6 moved"),
        (DSN.create(450), 450, "4.0.0 Other undefined status"),
        (DSN.create(12, "odd", 9, 9), 450, "4.9.9 odd"),
    ],
)
def test_text(dsn: DSN, code: int, text: str) -> None:
    assert (dsn.code, str(dsn)) == (code, text)


def test_default_msg_is_what_the_rfc_says() -> None:
    dsn = DSN.relaying_denied("no")
    assert (dsn.msg, dsn.default_msg) == ("no", "Delivery not authorized, message refused")
    assert (dsn.cls, dsn.sub, dsn.det) == (5, 7, 1)
    assert DSN.create(550, None, 9, 9).default_msg == ""
