"""Which name servers a run asks."""

from bot.backends.network import NONE, PRIVATE, SHARED, resolv_conf

MACHINES = "# by systemd-resolved\nnameserver 127.0.0.53\n\noptions edns0 trust-ad\nsearch corp.example\n"


def test_a_private_network_asks_slirp_and_searches_where_the_machine_does() -> None:
    assert resolv_conf(PRIVATE, MACHINES) == "nameserver 10.0.2.3\noptions edns0 trust-ad\nsearch corp.example\n"
    assert resolv_conf(PRIVATE, "") == "nameserver 10.0.2.3\n"


def test_the_machines_network_has_the_machines_name_servers_and_no_network_has_none() -> None:
    assert resolv_conf(SHARED, MACHINES) == MACHINES
    assert resolv_conf(NONE, MACHINES) == ""
