import Configuration
import IKEv2
import Packets
import Testing

/// A fault costs what it stands in, not more.
@Suite struct IsolationTests {
    /// Two connections with two children each; `first` and `second` are further lines of the first one and its first child.
    private func read(
        connection: String = "", child: String = "remote_ts = 10.2.0.0/16", local: String = "local_ts = 10.1.0.0/16",
        more: String = ""
    ) throws -> SwanctlConfiguration {
        func section(_ name: String, _ address: String, _ line: String, _ children: String) -> String {
            """
            \(name) {
              remote_addrs = \(address)
              \(line)
              local {
                auth = psk
                id = here
              }
              remote {
                auth = psk
                id = there
              }
              children {
            \(children)
              }
            }
            """
        }
        let text = """
            connections {
            \(section(
                "one", "192.0.2.2", connection,
                "net {\n\(local)\n\(child)\nstart_action = trap\nreqid = 7\n}\nlan {\nlocal_ts = 10.1.0.0/16\nremote_ts = 10.3.0.0/16\n}"))
            \(section("two", "192.0.2.3", "", "net {\nlocal_ts = 10.1.0.0/16\nremote_ts = 10.4.0.0/16\n}"))
            }
            secrets {
              ike-1 {
                secret = "0123456789abcdef0123456789abcdef"
              }
            \(more)
            }
            """
        return try SwanctlConfiguration.parse(text, file: "swanctl.conf")
    }

    @Test(arguments: [
        "updown = /usr/lib/ipsec/_updown iptables", "if_id_in = 5", "mark_out = 0x2a", "mode = transport",
        "mode = beet",
        "inactivity = 60", "esp_proposals = aes256ccm16", "label = system_u:object_r:x", "rekey_time = never",
        "priority = high", "nonsense = 1", "policies = no", "tfc_padding = 1400",
    ])
    func aFaultOfAChildCostsTheChild(_ line: String) throws {
        let configuration = try read(child: "remote_ts = 10.2.0.0/16\n\(line)")
        #expect(configuration.refused == ["one/net"])
        #expect(configuration.errors.count == 1, "\(configuration.errors)")
        #expect(throws: ConfigurationErrors.self) { try configuration.checked() }
        let connection = configuration.connections[0]
        #expect(!connection.isRefused && connection.negotiated.map(\.name) == ["lan"])
        let child = connection.children[0]
        #expect(child.isRefused && child.startAction == .none && child.requestID == 0)
        #expect(child.localSelectors.map(\.description) == ["10.1.0.0/16"])
        #expect(child.remoteSelectors.map(\.description) == ["10.2.0.0/16"])
        #expect(configuration.connections[1].negotiated.map(\.name) == ["net"])
        #expect(configuration.credentials.sharedKeys.count == 1)
    }

    @Test(arguments: ["version = 1", "proposals = aes256-sha256-modp1024", "vips = 0.0.0.0", "nonsense = 1"])
    func aFaultOfAConnectionCostsTheConnection(_ line: String) throws {
        let configuration = try read(connection: line)
        #expect(configuration.refused == ["one"])
        let connection = configuration.connections[0]
        #expect(connection.isRefused && connection.negotiated.isEmpty && connection.children.count == 2)
        #expect(connection.children.allSatisfy { $0.startAction == .none })
        #expect(
            connection.children.map(\.remoteSelectors).map { $0.map(\.description) } == [
                ["10.2.0.0/16"], ["10.3.0.0/16"],
            ])
        #expect(!configuration.connections[1].isRefused)
    }

    @Test func aFaultElsewhereCostsNoConnection() throws {
        let configuration = try read(more: "  ike-2 {\n    secret = 0xzz\n  }\n  nonsense-1 {\n  }")
        #expect(configuration.refused.isEmpty && configuration.errors.count == 2)
        #expect(configuration.connections.count == 2 && configuration.credentials.sharedKeys.map(\.name) == ["ike-1"])
    }

    /// A side that cannot be read is every address as long as the other one is limited.
    @Test func whatCannotBeReadStaysClosed() throws {
        let configuration = try read(child: "remote_ts = 10.2.0.0/16", local: "local_ts = 10.1.0.0/99")
        let child = configuration.connections[0].children[0]
        #expect(child.isRefused)
        #expect(child.localSelectors.map(\.description) == ["0.0.0.0/0", "::/0"])
        #expect(child.remoteSelectors.map(\.description) == ["10.2.0.0/16"])
        let part = try read(child: "remote_ts = 10.2.0.0/16", local: "local_ts = 10.1.0.0/16, 10.1.0.0/99")
        #expect(part.connections[0].children[0].localSelectors.count == 3)
        let open = try read(child: "remote_ts = 0.0.0.0/0", local: "local_ts = 10.1.0.0/99")
        #expect(open.connections[0].children[0].localSelectors.isEmpty, "the whole host would be closed")
    }

    /// With an interface or a mark the routes choose the packets: 0.0.0.0/0 on both sides says nothing.
    @Test(arguments: ["if_id_out = 5", "mark_in = 5", "policies = no"])
    func aRoutedChildWithoutSelectorsClosesNothing(_ line: String) throws {
        let open = try read(child: "remote_ts = 0.0.0.0/0, ::/0\n\(line)", local: "local_ts = 0.0.0.0/0, ::/0")
        let child = open.connections[0].children[0]
        #expect(child.isRefused && child.localSelectors.isEmpty && child.remoteSelectors.isEmpty)
        let half = try read(child: "remote_ts = 0.0.0.0/0\n\(line)")
        #expect(half.connections[0].children[0].localSelectors.map(\.description) == ["10.1.0.0/16"])
        #expect(half.connections[0].children[0].remoteSelectors.map(\.description) == ["0.0.0.0/0"])
    }

    /// An address that would be assigned is not the host's own.
    @Test func anAssignedAddressIsNotClosed() throws {
        let configuration = try read(
            connection: "vips = 0.0.0.0", child: "remote_ts = 0.0.0.0/0", local: "local_ts = dynamic")
        #expect(configuration.connections[0].children[0].localSelectors.isEmpty)
    }

    @Test func aShuntWithAFaultLetsNothingPass() throws {
        let configuration = try read(child: "remote_ts = 10.2.0.0/16\nmode = pass\nnonsense = 1")
        let child = configuration.connections[0].children[0]
        #expect(child.isRefused && child.localSelectors.isEmpty)
    }

    @Test func aTextThatCannotBeParsedIsNothing() {
        #expect(throws: ConfigurationErrors.self) {
            try SwanctlConfiguration.parse("connections { site {", file: "swanctl.conf")
        }
    }

    @Test func theReportSaysWhatIsNotServed() throws {
        let text = try read(child: "remote_ts = 10.2.0.0/16\nupdown = x").description
        #expect(text.contains("net: not served, for its errors; closed is 10.1.0.0/16 -> 10.2.0.0/16"), "\(text)")
        let whole = try read(connection: "version = 1").description
        #expect(whole.contains("one: not served, for its errors"), "\(whole)")
    }
}
