import Configuration
import IKEv2
import IPsec
import Packets
import Testing

/// What the keys of a child come to.
@Suite struct ChildTranslationTests {
    @Test func defaults() throws {
        let child = try child("")
        #expect(child.name == "net" && child.mode == .tunnel && child.proposals == ChildProposal.default)
        #expect(child.localSelectors == [.dynamic] && child.remoteSelectors == [.dynamic])
        #expect(child.startAction == .none && child.closeAction == .none && child.deadPeerAction == .clear)
        #expect(child.time == .init(rekey: 3600, life: 3960, random: 360))
        #expect(child.bytes == .init() && child.packets == .init())
        #expect(child.replayWindow == nil && child.requestID == 0 && child.priority == nil)
        #expect(child.copiesDSCP && child.copiesECN && child.dontFragment == .copy)
    }

    @Test func everyKey() throws {
        let child = try child(
            """
            local_ts = 10.1.0.0/16, 10.3.0.0/16[tcp/https]
            remote_ts = 10.2.0.0/16
            esp_proposals = aes128gcm16-x25519-esn, aes256-sha512
            mode = tunnel
            start_action = trap|start
            close_action = trap
            dpd_action = restart
            rekey_time = 30m
            life_time = 40m
            rand_time = 60
            rekey_bytes = 10g
            rekey_packets = 1000000
            life_packets = 2000000
            rand_packets = 5
            reqid = 7
            priority = 1000
            replay_window = 4096
            copy_df = no
            copy_ecn = no
            copy_dscp = no
            """)
        #expect(child.localSelectors.map(\.description) == ["10.1.0.0/16", "10.3.0.0/16[6/443]"])
        #expect(child.remoteSelectors.map(\.description) == ["10.2.0.0/16"])
        #expect(child.proposals.map(\.description) == ["aes128gcm16-x25519-esn", "aes256-sha512"])
        #expect(child.startAction == .trapAndStart && child.closeAction == .trap && child.deadPeerAction == .restart)
        #expect(child.time == .init(rekey: 1800, life: 2400, random: 60))
        #expect(child.bytes == .init(rekey: 10_737_418_240, life: 11_811_160_064, random: 1_073_741_824))
        #expect(child.packets == .init(rekey: 1_000_000, life: 2_000_000, random: 5))
        #expect(child.requestID == 7 && child.priority == 1000 && child.replayWindow == 4096)
        #expect(!child.copiesDSCP && !child.copiesECN && child.dontFragment == .clear)
    }

    @Test(arguments: [
        ("rekey_time = 100", 100, 110, 10), ("life_time = 110", 100, 110, 10), ("rekey_time = 0", 0, 0, 0),
        ("rekey_time = 10\nlife_time = 1h", 10, 3600, 5), ("rekey_time = 10\nrand_time = 0", 10, 11, 0),
        ("rekey_time = 1d\nlife_time = 0", 86_400, 0, 0), ("life_time = 0", 3600, 0, 0),
    ])
    func limitsThatFollowFromOthers(lines: String, rekey: UInt64, life: UInt64, random: UInt64) throws {
        #expect(try child(lines).time == .init(rekey: rekey, life: life, random: random))
    }

    @Test(arguments: [
        ("10.1.0.0/16", "10.1.0.0/16"), ("10.1.0.1", "10.1.0.1"), ("10.1.0.1-10.1.0.9", "10.1.0.1...10.1.0.9"),
        ("0.0.0.0/0", "0.0.0.0/0"), ("2001:db8::/32[udp/4500-4600]", "2001:db8::/32[17/4500-4600]"),
        ("dynamic", "dynamic"), ("dynamic[gre]", "dynamic[47]"), ("10.1.0.0/16[sctp]", "10.1.0.0/16[132]"),
        ("10.1.0.0/16[/80]", "10.1.0.0/16[/80]"), ("10.1.0.0/16[%any/80]", "10.1.0.0/16[/80]"),
        ("10.1.0.0/16[ 6 / 22 ]", "10.1.0.0/16[6/22]"), ("10.1.0.0/16[tcp/ssh]", "10.1.0.0/16[6/22]"),
        ("10.1.0.0/16[tcp/%any]", "10.1.0.0/16[6]"), ("10.1.0.0/16[tcp/opaque]", "10.1.0.0/16[6/opaque]"),
        ("10.1.0.0/16[icmp/8(0)]", "10.1.0.0/16[1/2048]"), ("10.1.0.0/16[ipv6-icmp/34560]", "10.1.0.0/16[58/34560]"),
        ("10.1.2.3/16", "10.1.0.0/16"),
    ])
    func selectors(text: String, expected: String) throws {
        #expect(try child("local_ts = \(text)").localSelectors.map(\.description) == [expected])
    }

    /// Keys that ask for nothing that is not there.
    @Test(arguments: [
        "hw_offload = no", "hw_offload = auto", "policies = yes", "policies_fwd_out = no", "ipcomp = no",
        "sha256_96 = no", "tfc_padding = 0", "inactivity = 0", "inactivity = 0s", "mark_in = 0/0x00000000",
        "mark_in_sa = no", "if_id_out = 0", "updown =", "interface =", "ah_proposals =", "label =", "hostaccess = no",
        "dpd_action = none", "copy_dscp = out", "per_cpu_sas = no", "start_action = none",
    ])
    func harmless(line: String) throws {
        #expect(try swanctl(sites(child: line)).warnings.isEmpty)
    }

    /// Of two children for the same packets only one gets them, which is rarely meant.
    @Test(arguments: [
        ("start_action = trap", 1), ("start_action = none", 0), ("start_action = start\npriority = 5", 0),
        ("start_action = start\nlocal_ts = 10.7.0.0/16", 0), ("start_action = start\nlocal_ts = dynamic", 0),
    ])
    func twoForTheSamePackets(_ lines: String, _ count: Int) throws {
        let child = "local_ts = 10.1.0.0/16\nremote_ts = 10.2.0.0/16, 10.3.0.0/16\nstart_action = trap"
        let other = child.replacing("10.2.0.0/16, 10.3.0.0/16", with: "10.3.0.0/16, 10.2.0.0/16")
        let text = sites(child: child + "\n }\n more {\n" + other + "\n" + lines)
        let warnings = try swanctl(text).warnings.filter { $0.what.contains("site/net") }
        #expect(warnings.map(\.word) == Array(repeating: "more", count: count), "\(warnings)")
    }
}
