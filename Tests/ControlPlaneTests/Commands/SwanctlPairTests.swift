import Foundation
import Testing

@testable import ControlPlane

/// Two gateways without a network, each driven by Debian's `swanctl` from a file of its own.
@Suite struct SwanctlPairTests {
    static func configuration(_ own: Int, _ other: Int, secret: String = "a shared one", port: String = "") -> String {
        """
        connections {
          peer {
            local_addrs = 10.98.0.\(own)
            remote_addrs = 10.98.0.\(other)
            proposals = aes128gcm16-prfsha256-x25519
            local { auth = psk
                    id = gw\(own)@lab }
            remote { auth = psk
                     id = gw\(other)@lab }
            children {
              net { local_ts = 10.\(own).0.0/16\(port)
                    remote_ts = 10.\(other).0.0/16
                    esp_proposals = aes128gcm16-x25519 }
            }
          }
        }
        secrets { ike-1 { secret = "\(secret)" } }
        """
    }

    static func with(
        secret: String = "a shared one", _ body: (PairedGateways, _ left: Swanctl, _ right: Swanctl) throws -> Void
    ) throws {
        try PairedGateways.with { pair in
            let (left, right) = (try Swanctl(socket: pair.left), try Swanctl(socket: pair.right))
            try left.write(configuration(1, 2), to: "swanctl.conf")
            try right.write(configuration(2, 1, secret: secret), to: "swanctl.conf")
            for swanctl in [left, right] {
                let loaded = try swanctl.run("--load-all", "--noprompt")
                #expect(loaded.status == 0, "\(loaded)")
            }
            try body(pair, left, right)
        }
    }

    @Test func aTunnelFromItsStartToItsEnd() throws {
        try Self.with { _, left, right in
            let up = try left.run("--initiate", "--child", "net", "--timeout", "60")
            #expect(up.status == 0, "\(up)")
            #expect(up.output.contains("sent IKE_SA_INIT request 0 to 10.98.0.2:500"), "\(up)")
            #expect(up.output.contains("received IKE_AUTH response 1"), "\(up)")
            #expect(up.output.contains("CHILD_SA net{"), "\(up)")
            #expect(up.output.contains("initiate completed successfully"), "\(up)")
            for swanctl in [left, right] {
                let listed = try swanctl.run("--list-sas").output
                #expect(listed.contains("ESTABLISHED, IKEv2"), "\(listed)")
                #expect(listed.contains("AES_GCM_16-128/PRF_HMAC_SHA2_256/CURVE_25519"), "\(listed)")
                #expect(listed.contains("INSTALLED, TUNNEL, ESP:AES_GCM_16-128"), "\(listed)")
            }
            #expect(try left.run("--list-sas").output.contains("local  'gw1@lab' @ 10.98.0.1[500]"))
            // Loading the same again leaves it alone.
            try left.run("--load-all", "--noprompt")
            #expect(try left.run("--list-sas").output.contains("peer: #1, ESTABLISHED"))
            let down = try right.run("--terminate", "--ike", "peer", "--timeout", "60")
            #expect(down.output.contains("terminate completed successfully"), "\(down)")
            #expect(try right.run("--list-sas").output.isEmpty)
            #expect(try left.wait("--list-sas") { $0.isEmpty })
        }
    }

    @Test func rekeysChildAndIKESA() throws {
        try Self.with { pair, left, right in
            let monitor = try right.start(["--monitor-sa"])
            try pair.waitUntilRightTells(["ike-updown", "child-updown"])
            let listener = try VICIClient(path: pair.right, timeoutInSeconds: 120)
            for event in SessionEvents.names { try listener.register(event) }
            let up = try left.run("--initiate", "--child", "net", "--timeout", "60")
            #expect(up.status == 0, "\(up)")
            #expect(try left.run("--rekey", "--child", "net").status == 0)
            // Its keys now come from a key exchange of their own.
            #expect(try left.wait("--list-sas") { $0.contains("ESP:AES_GCM_16-128/CURVE_25519") })
            #expect(try left.run("--rekey", "--ike", "peer").status == 0)
            #expect(try left.wait("--list-sas") { $0.contains("ESTABLISHED") && !$0.contains("peer: #1,") })
            let counters = try left.run("--counters").output
            #expect(counters.contains("ike-init-out-req      : 1"), "\(counters)")
            #expect(counters.contains("child-rekey           : 1"), "\(counters)")
            #expect(counters.contains("ike-rekey-init        : 1"), "\(counters)")
            let seen = monitor.output(until: "net: #")
            #expect(seen.contains("peer: #1, ESTABLISHED"), "\(seen)")
            #expect(try right.wait("--list-sas") { !$0.contains("peer: #1,") })
            var events: [String] = []
            _ = try listener.request("get-conns") { name, _ in events.append(name) }
            #expect(Array(events.prefix(2)) == ["ike-updown", "child-updown"], "\(events)")
            #expect(events.contains("child-rekey") && events.contains("ike-rekey"), "\(events)")
        }
    }

    /// Both ends hear that the IKE SA and its child are gone, and between whom they were.
    @Test func theEndIsAnEvent() throws {
        try Self.with { pair, left, right in
            #expect(try left.run("--initiate", "--child", "net", "--timeout", "60").status == 0)
            let near = try VICIClient(path: pair.left, timeoutInSeconds: 120)
            let far = try VICIClient(path: pair.right, timeoutInSeconds: 120)
            for event in SessionEvents.names {
                try near.register(event)
                try far.register(event)
            }
            #expect(try left.run("--terminate", "--ike", "peer", "--timeout", "60").status == 0)
            #expect(try right.wait("--list-sas") { $0.isEmpty })
            var heard: [(name: String, message: VICIMessage)] = []
            _ = try near.request("get-conns") { heard.append(($0, $1)) }
            _ = try far.request("get-conns") { heard.append(($0, $1)) }
            #expect(heard.map(\.name) == ["ike-updown", "child-updown", "ike-updown", "child-updown"])
            for (_, message) in heard {
                let ike = try #require(message.section("peer"))
                #expect(message["up"] == nil && ike["state"] == "DELETING", "\(message)")
                #expect(ike["established"] != nil && ike["remote-id"]?.hasSuffix("@lab") == true, "\(message)")
            }
        }
    }

    @Test func aWrongSecretIsExplained() throws {
        try Self.with(secret: "another") { _, left, _ in
            let failed = try left.run("--initiate", "--child", "net", "--timeout", "60")
            #expect(failed.status != 0)
            #expect((failed.output + failed.errors).contains("AUTHENTICATION_FAILED"), "\(failed)")
            #expect(!(failed.output + failed.errors).contains("a shared one"))
            #expect(try left.wait("--list-sas") { $0.isEmpty })
        }
    }

    /// A connection that is gone from the file takes its SAs with it; one that has changed too.
    @Test func loadAllLeavesNoStaleSA() throws {
        try Self.with { _, left, right in
            #expect(try left.run("--initiate", "--child", "net", "--timeout", "60").status == 0)
            try left.write(Self.configuration(1, 2, port: "[tcp/80]"), to: "swanctl.conf")
            #expect(try left.run("--load-all", "--noprompt").status == 0)
            #expect(try left.wait("--list-sas") { !$0.contains("INSTALLED") })
            try left.write("", to: "swanctl.conf")
            let emptied = try left.run("--load-all", "--noprompt")
            #expect(emptied.status == 0, "\(emptied)")
            #expect(try left.wait("--list-sas") { $0.isEmpty })
            #expect(try right.wait("--list-sas") { $0.isEmpty })
            #expect(try left.run("--list-conns").output.isEmpty)
            #expect(try left.run("--initiate", "--child", "net").status != 0)
        }
    }
}

extension Swanctl {
    /// Runs it until its output is as it should be; false after a minute.
    func wait(_ argument: String, until holds: (String) -> Bool) throws -> Bool {
        for _ in 0..<600 {
            if holds(try run(argument).output) { return true }
            usleep(100_000)
        }
        return false
    }
}
