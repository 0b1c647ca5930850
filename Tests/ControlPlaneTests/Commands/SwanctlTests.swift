import Foundation
import IKEv2
import Testing

@testable import ControlPlane

/// Debian's `swanctl`, unchanged, shows and does what it is asked for.
@Suite struct SwanctlTests {
    static func with(_ body: (CommandServer, Swanctl) throws -> Void) throws {
        try CommandServer.with { server in
            let child = try Samples.childSA()
            try server.onLoop { sessions, _ in
                sessions.connections = [try Samples.connection()]
                sessions.sessions = [Samples.session(children: [child])]
            }
            try body(server, try Swanctl(socket: server.path))
        }
    }

    @Test func listsSAs() throws {
        try Self.with { _, swanctl in
            let expected = """
                moon: #6, ESTABLISHED, IKEv2, 15b82aa06a68d5d1_i* 0086313b2fa651e3_r
                  local  'a@lab' @ 10.98.0.1[4500]
                  remote 'b@lab' @ 10.98.0.2[4500]
                  AES_CBC-256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/CURVE_25519
                  established 10s ago, rekeying in 13072s
                  active:  CHILD_CREATE
                  net: #7, reqid 3, INSTALLED, TUNNEL-in-UDP, ESP:AES_GCM_16-128/CURVE_25519/ESN
                    installed 10s ago, rekeying in 3376s, expires in 3950s
                    in  4e303e43,    840 bytes,    10 packets,     2s ago
                    out 00423702,      0 bytes,     0 packets
                    local  10.1.0.0/16
                    remote 10.2.0.0/16[tcp/80]

                """
            let outcome = try swanctl.run("--list-sas")
            #expect(outcome.status == 0, "\(outcome)")
            #expect(outcome.output == expected)
            #expect(try swanctl.run("--list-sas", "--ike", "sun").output.isEmpty)
            #expect(try swanctl.run("--list-sas", "--ike-id", "6", "--noblock").output == expected)
            let without = try swanctl.run("--list-sas", "--child", "sea").output
            #expect(without.hasPrefix("moon: #6") && !without.contains("net: #7"))
            #expect(try swanctl.run("--list-sas", "--raw").output.contains("list-sa event {moon {uniqueid=6"))
        }
    }

    @Test func listsConnections() throws {
        try Self.with { _, swanctl in
            let outcome = try swanctl.run("--list-conns")
            #expect(outcome.status == 0, "\(outcome)")
            let expected = """
                moon: IKEv2, no reauthentication, rekeying every 14400s
                  local:  10.98.0.1
                  remote: peer.example.org
                  local pre-shared key authentication:
                    id: a@lab
                  remote pre-shared key authentication:
                    id: b@lab
                  net: TUNNEL, rekeying every 3600s
                    local:  10.1.0.0/16
                    remote: 10.2.0.0/16[tcp/80]

                """
            #expect(outcome.output == expected)
        }
    }

    @Test func listsCertificatesAndAuthorities() throws {
        try CommandServer.with { server in
            let swanctl = try Swanctl(socket: server.path)
            try swanctl.makeCertificates()
            try swanctl.write("authorities { lab { cacert = ca.crt } }", to: "swanctl.conf")
            try swanctl.run("--load-all", "--noprompt")
            let outcome = try swanctl.run("--list-certs")
            #expect(outcome.status == 0, "\(outcome)")
            #expect(outcome.output.contains("subject:  \"C=XX, O=Lab, CN=gwa.lab\""), "\(outcome)")
            #expect(outcome.output.contains("has private key"))
            #expect(outcome.output.contains("List of X.509 CA Certificates"))
            let authorities = try swanctl.run("--list-certs", "--type", "x509", "--flag", "ca").output
            #expect(authorities.contains("CN=Lab CA") && !authorities.contains("subject:  \"C=XX, O=Lab, CN=gwa.lab\""))
            #expect(try swanctl.run("--list-certs", "--subject", "C=XX, O=Lab, CN=nobody").output.isEmpty)
            #expect(try swanctl.run("--list-authorities").output.contains("cacert: C=XX, O=Lab, CN=Lab CA"))
        }
    }

    @Test func initiatesAndShowsTheNegotiation() throws {
        try Self.with { server, swanctl in
            let running = try swanctl.start(["--initiate", "--child", "net"])
            try server.wait { sessions, _ in sessions.initiations.count == 1 }
            try server.onLoop { sessions, control in
                control.report(ManagerEvent(ike: Samples.session(), event: .note(.info, "on the way")))
                control.report(ManagerEvent(ike: Samples.session(), event: .note(.info, "D(ESP × 2) {…}")))
                sessions.initiations[0](.success(()))
            }
            let outcome = try swanctl.finish(running)
            #expect(outcome.status == 0, "\(outcome)")
            #expect(outcome.output.contains("[IKE] on the way"), "\(outcome)")
            #expect(outcome.output.contains("[IKE] D(ESP x 2) {...}"), "\(outcome)")
            #expect(outcome.output.contains("initiate completed successfully"), "\(outcome)")
            let failing = try swanctl.start(["--initiate", "--child", "net"])
            try server.wait { sessions, _ in sessions.initiations.count == 2 }
            try server.onLoop { sessions, _ in
                sessions.initiations[1](.failure(Explanation("no proposal chosen", remedy: "set proposals = x")))
            }
            let failed = try swanctl.finish(failing)
            #expect(failed.status != 0)
            #expect((failed.output + failed.errors).contains("no proposal chosen; set proposals = x"), "\(failed)")
        }
    }

    @Test func terminatesRekeysAndInstalls() throws {
        try Self.with { server, swanctl in
            let running = try swanctl.start(["--terminate", "--ike", "moon"])
            try server.wait { sessions, _ in sessions.terminations.count == 1 }
            try server.onLoop { sessions, _ in sessions.terminations[0](.success(1)) }
            let terminated = try swanctl.finish(running)
            #expect(terminated.output.contains("terminate completed successfully"), "\(terminated)")
            let rekeyed = try swanctl.run("--rekey", "--child", "net")
            #expect(rekeyed.output.contains("rekey completed successfully"), "\(rekeyed)")
            let reauthenticated = try swanctl.run("--rekey", "--ike-id", "6", "--reauth")
            #expect(reauthenticated.output.contains("rekey completed successfully"), "\(reauthenticated)")
            #expect(try swanctl.run("--rekey", "--ike", "nobody").status != 0)
            let installed = try swanctl.run("--install", "--child", "net")
            #expect(installed.output.contains("install completed successfully"), "\(installed)")
            let policies = try swanctl.run("--list-pols").output
            #expect(
                policies == "moon/net, TUNNEL\n  local:  10.1.0.0/16\n  remote: 10.2.0.0/16[tcp/80]\n", "\(policies)")
            let uninstalled = try swanctl.run("--uninstall", "--child", "net")
            #expect(uninstalled.output.contains("uninstall completed successfully"), "\(uninstalled)")
            #expect(try swanctl.run("--list-pols").output.isEmpty)
            let calls = try server.onLoop { sessions, _ in sessions.calls }
            #expect(
                calls == [
                    "terminate ike moon", "rekey child net", "rekey ike-id 6 reauthenticate", "rekey ike nobody",
                    "install - net", "uninstall - net",
                ])
        }
    }

    @Test func showsTheDaemon() throws {
        try Self.with { _, swanctl in
            let version = try swanctl.run("--version", "--daemon")
            #expect(version.output.contains("1.2.3 sluice"), "\(version)")
            let statistics = try swanctl.run("--stats").output
            #expect(statistics.contains("uptime: 2 hours, since then"))
            #expect(statistics.contains("IKE_SAs: 2 total, 0 half-open"))
            #expect(statistics.contains("loaded plugins: aead"))
            let algorithms = try swanctl.run("--list-algs")
            #expect(algorithms.output.contains("AES_GCM_16[openssl]"), "\(algorithms)")
            #expect(algorithms.output.contains("CURVE_25519[openssl]"))
            for command in ["--flush-certs", "--reload-settings", "--list-pools"] {
                #expect(try swanctl.run(command).status == 0, "\(command)")
            }
            let redirected = try swanctl.run("--redirect", "--ike", "moon", "--gateway", "192.0.2.1")
            #expect(redirected.status != 0)
            #expect((redirected.output + redirected.errors).contains("RFC 5685"), "\(redirected)")
        }
    }

    @Test func showsCounters() throws {
        try Self.with { server, swanctl in
            let new = Samples.session(9)
            try server.onLoop { _, control in
                control.report(ManagerEvent(ike: Samples.session(), event: .session(.rekeyed(new: new))))
            }
            let counters = try swanctl.run("--counters").output
            #expect(counters.contains("ike-rekey-init        : 1"), "\(counters)")
            #expect(try swanctl.run("--counters", "--all").output.hasPrefix("moon:"))
            #expect(try swanctl.run("--counters", "--name", "moon").output.contains("ike-rekey-init        : 1"))
            #expect(try swanctl.run("--counters", "--reset").status == 0)
            #expect(try swanctl.run("--counters").output.contains("ike-rekey-init        : 0"))
        }
    }

    @Test(arguments: [("--log", "log", "[IKE] look here"), ("--monitor-sa", "child-updown", "net")])
    func followsEvents(_ what: (option: String, event: String, text: String)) throws {
        try Self.with { server, swanctl in
            let running = try swanctl.start([what.option])
            try server.wait { _, control in control.hub.isWanted(what.event) }
            let child = try Samples.childSA()
            try server.onLoop { _, control in
                control.report(ManagerEvent(ike: Samples.session(), event: .note(.warning, "look here")))
                control.report(ManagerEvent(ike: Samples.session(), event: .session(.childUp(child))))
            }
            let output = running.output(until: what.text)
            #expect(output.contains(what.text), "\(output)")
        }
    }
}
