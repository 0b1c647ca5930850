import Configuration
import IKEv2
import IPsec
import Packets
import Policy
import Testing

@testable import Gateway

/// What a configuration covers, without a gateway.
@Suite struct CoveredTrafficTests {
    private func swanctl(_ connection: String) throws -> [Connection] {
        let text = """
            connections {
                \(connection)
            }
            secrets { ike { secret = "of the lab" } }
            """
        return try SwanctlConfiguration.parse(text, file: "lab.conf").connections
    }

    private func connection(_ name: String, _ addresses: String, _ children: String) -> String {
        """
        \(name) {
            \(addresses)
            local { auth = psk
                id = here }
            remote { auth = psk
                id = there }
            children { \(children) }
        }
        """
    }

    private func lines(_ list: CoveredList) -> [String] {
        list.traffic.map { "\($0.name) \($0.selector) \($0.action.rawValue)" }
    }

    /// A child or a connection with a fault is closed as one that is served.
    @Test func whatIsRefusedIsCovered() throws {
        let net = "net { local_ts = 10.1.0.0/16\n remote_ts = 10.2.0.0/16\n updown = /bin/true }"
        let lan = "lan { local_ts = 10.1.0.0/16\n remote_ts = 10.3.0.0/16 }"
        for address in ["remote_addrs = 192.0.2.2", "version = 1"] {
            let connections = try swanctl(connection("site", address, "\(net)\n \(lan)"))
            #expect(connections.refusedParts == [address == "version = 1" ? "site" : "site/net"])
            #expect(
                lines(CoveredList(ManualConfiguration(), connections)) == [
                    "site/net 10.1.0.0/16 -> 10.2.0.0/16 protect", "site/lan 10.1.0.0/16 -> 10.3.0.0/16 protect",
                ])
        }
    }

    /// `mode = pass` goes before what others protect, `mode = drop` behind it, as narrow as they may be.
    @Test func shunts() throws {
        let connections = try swanctl(
            connection(
                "site", "remote_addrs = 192.0.2.2",
                """
                net {
                    local_ts = 10.1.0.1
                    remote_ts = 10.2.0.1
                    start_action = trap
                }
                lan {
                    local_ts = 10.0.0.0/8
                    remote_ts = 10.2.0.0/24
                    mode = pass
                    start_action = trap
                }
                rest {
                    local_ts = 10.1.0.1
                    remote_ts = 10.2.0.1
                    mode = drop
                }
                """))
        #expect(
            lines(CoveredList(ManualConfiguration(), connections)) == [
                "site/lan 10.0.0.0/8 -> 10.2.0.0/24 bypass", "site/net 10.1.0.1/32 -> 10.2.0.1/32 protect",
                "site/rest 10.1.0.1/32 -> 10.2.0.1/32 discard",
            ])
        let site = try #require(connections.first)
        #expect(site.negotiated.map(\.name) == ["net"])
        // Nothing of them is negotiated, whatever their actions say.
        #expect(site.children.map(\.startAction) == [.trap, .none, .none])
    }

    @Test(arguments: ["none", "start", "trap"])
    func everyChildIsCovered(startAction: String) throws {
        let connections = try swanctl(
            connection(
                "site", "remote_addrs = peer.example.org",
                """
                net {
                    local_ts = 10.1.0.0/16, 2001:db8:1::/48
                    remote_ts = 10.2.0.0/16, 10.3.0.0/24[tcp/443], 2001:db8:2::/48
                    start_action = \(startAction)
                }
                """))
        let list = CoveredList(ManualConfiguration(), connections)
        #expect(
            lines(list) == [
                "site/net 2001:db8:1::/48 -> 2001:db8:2::/48 protect",
                "site/net 10.1.0.0/16 -> 10.3.0.0/24 proto 6 dport 443 protect",
                "site/net 10.1.0.0/16 -> 10.2.0.0/16 protect",
            ])
        #expect(list.incomplete == [])
    }

    @Test func narrowerAndPreferredOnesGoFirst() throws {
        let connections = try swanctl(
            connection("cloud", "", "all { remote_ts = 0.0.0.0/0\nlocal_ts = 10.0.0.0/8 }")
                + connection("branch", "", "net { remote_ts = 10.1.0.0/16\nlocal_ts = 10.0.0.0/8 }")
                + connection("urgent", "", "net { remote_ts = 10.0.0.0/8\nlocal_ts = 10.0.0.0/8\npriority = 9 }"))
        let list = CoveredList(ManualConfiguration(), connections)
        #expect(list.traffic.map(\.name) == ["urgent/net", "branch/net", "cloud/all"])
        #expect(list.traffic[0].priority == 9)
    }

    /// An address that is written down stands for `dynamic`; others are not known before somebody asks.
    @Test func whatIsDynamicIsCoveredAsFarAsItIsKnown() throws {
        let written = try swanctl(
            connection("site", "local_addrs = 192.0.2.1\nremote_addrs = 192.0.2.2", "net { }"))
        let known = CoveredList(ManualConfiguration(), written)
        #expect(lines(known) == ["site/net 192.0.2.1/32 -> 192.0.2.2/32 protect"] && known.incomplete == [])

        let open = try swanctl(
            connection(
                "site", "remote_addrs = 192.0.2.2", "net { local_ts = dynamic, 10.1.0.0/16\nremote_ts = 10.2.0.0/16 }"))
        let half = CoveredList(ManualConfiguration(), open)
        #expect(lines(half) == ["site/net 10.1.0.0/16 -> 10.2.0.0/16 protect"] && half.incomplete == ["site/net"])

        let child = try #require(open.first?.children.first)
        let all = try #require(open.first).configuredSelectors(
            of: child, resolved: { _ in [] }, source: { _ in IPAddress("198.51.100.7") })
        #expect(
            all.isComplete
                && all.selectors.map(\.source.description) == ["198.51.100.7/32", "10.1.0.0/16"])
    }

    @Test func policiesOfABatchAreThere() throws {
        let batch = try XfrmBatch.parse(
            """
            xfrm policy add src 10.1.0.0/16 dst 10.2.0.0/16 dir out priority 5 tmpl src 192.0.2.1 dst 192.0.2.2 proto esp reqid 1 mode tunnel
            xfrm policy add src 10.2.0.0/16 dst 10.1.0.0/16 dir fwd tmpl src 192.0.2.2 dst 192.0.2.1 proto esp reqid 1 mode tunnel
            xfrm policy add src 10.1.0.0/16 dst 10.2.9.0/24 dir out priority 4
            xfrm policy add src 10.1.0.0/16 dst 10.9.0.0/16 dir out action block priority 6
            """, file: "lab.xfrm")
        #expect(
            lines(CoveredList(batch, [])) == [
                "policy 3 10.1.0.0/16 -> 10.2.9.0/24 bypass", "policy 1 10.1.0.0/16 -> 10.2.0.0/16 protect",
                "policy 4 10.1.0.0/16 -> 10.9.0.0/16 discard",
            ])
    }
}
