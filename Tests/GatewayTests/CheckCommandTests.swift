import Foundation
import Testing

/// `sluice check --config`: what a swanctl.conf would set up, or what is wrong with it.
@Suite struct CheckCommandTests {
    private static let secret = "s3cretK3ysWord-0123456789abcdef"
    private static let site = """
        connections {
          right {
            remote_addrs = 192.0.2.2
            local {
              auth = psk
              id = left.example.org
            }
            remote {
              auth = psk
              id = right.example.org
            }
            children {
              lan {
                local_ts = 10.1.0.0/16
                remote_ts = 10.2.0.0/16[tcp/https]
                esp_proposals = aes256gcm16-ecp384
                start_action = trap
              }
            }
          }
        }
        secrets {
          ike-right {
            id = right.example.org
            secret = "\(secret)"
          }
        }

        """

    @Test func saysWhatWouldBeSetUpAndNoSecret() throws {
        try CommandLineTests.withFile(Self.site) { path in
            let text = try CommandLineTests.run(["check", "--config", path])
            #expect(text.status == 0 && text.errors.isEmpty, "\(text.errors)")
            for part in [
                "1 connection", "right: any address -> 192.0.2.2", "'left.example.org', by pre-shared key",
                "lan: 10.1.0.0/16 -> 10.2.0.0/16[6/443], tunnel mode", "aes256gcm16-ecp384", "at start: trap",
                "rekey after 3600 s", "pre-shared key ike-right for right.example.org",
            ] { #expect(text.output.contains(part), "\(part) is missing in: \(text.output)") }
            #expect(!text.output.contains(Self.secret))
        }
    }

    @Test func printsOneDocument() throws {
        try CommandLineTests.withFile(Self.site) { path in
            let json = try CommandLineTests.run(["check", "--config", path, "--json"])
            #expect(json.status == 0)
            let document = try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any]
            let connection = (document?["connections"] as? [[String: Any]])?.first
            #expect(connection?["name"] as? String == "right")
            #expect(connection?["remote_addresses"] as? [String] == ["192.0.2.2"])
            #expect((connection?["local"] as? [String: Any])?["identity"] as? String == "left.example.org")
            let child = (connection?["children"] as? [[String: Any]])?.first
            #expect(child?["remote_selectors"] as? [String] == ["10.2.0.0/16[6/443]"])
            #expect((child?["time"] as? [String: Any])?["life"] as? Int == 3960)
            let credentials = document?["credentials"] as? [String: Any]
            let key = (credentials?["shared_keys"] as? [[String: Any]])?.first
            #expect(key?["identities"] as? [String] == ["right.example.org"])
            #expect(!json.output.contains(Self.secret))
        }
    }

    @Test func errorsEndWith78AndShowNoSecret() throws {
        let text = Self.site.replacing("auth = psk", with: "auth = pks").replacing("secret =", with: "secrt =")
        try CommandLineTests.withFile(text) { path in
            let outcome = try CommandLineTests.run(["check", "--config", path])
            #expect(outcome.status == 78)
            // Where editors look for them; what they cost stands behind them.
            let lines = outcome.errors.split(separator: "\n")
            #expect(lines.count > 3 && lines.dropLast().allSatisfy { $0.hasPrefix("\(path):") }, "\(outcome.errors)")
            #expect(outcome.errors.hasSuffix("sluice: 4 errors; not served, and closed: right\n"), "\(outcome.errors)")
            // What is closed all the same.
            #expect(outcome.output.contains("right/lan: 10.1.0.0/16 -> 10.2.0.0/16"), "\(outcome.output)")
            #expect(!outcome.output.contains(Self.secret))
            for line in [5, 9, 25] { #expect(outcome.errors.contains("\(path):\(line): "), "\(outcome.errors)") }
            #expect(outcome.errors.contains("did you mean 'psk'?"))
            #expect(outcome.errors.contains("'secrt'") && outcome.errors.contains("did you mean 'secret'?"))
            #expect(!outcome.errors.contains(Self.secret))
        }
        let missing = try CommandLineTests.run(["check", "--config", "/nonexistent/swanctl.conf"])
        #expect(missing.status == 78 && missing.errors.contains("/nonexistent/swanctl.conf: cannot be read"))
    }

    /// A fault of one child: the plan of the rest, and the exit code all the same.
    @Test func theRestIsPlannedAllTheSame() throws {
        let text = Self.site.replacing("start_action = trap", with: "updown = /bin/true")
        try CommandLineTests.withFile(text) { path in
            let outcome = try CommandLineTests.run(["check", "--config", path, "--json"])
            #expect(outcome.status == 78)
            #expect(outcome.errors.contains("not served, and closed: right/lan"), "\(outcome.errors)")
            let document = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any]
            #expect((document?["errors"] as? [String])?.count == 1)
            let connection = (document?["connections"] as? [[String: Any]])?.first
            let child = (connection?["children"] as? [[String: Any]])?.first
            #expect(connection?["served"] as? Bool == true && child?["served"] as? Bool == false)
            let boundary = document?["boundary"] as? [String: Any]
            #expect((boundary?["closed"] as? [String])?.count == 1)
        }
    }

    @Test func weakGroupsNeedAFlag() throws {
        let text = Self.site.replacing(
            "remote_addrs = 192.0.2.2", with: "remote_addrs = 192.0.2.2\n    proposals = aes128-sha1-modp1024")
        try CommandLineTests.withFile(text) { path in
            let refused = try CommandLineTests.run(["check", "--config", path])
            #expect(refused.status == 78 && refused.errors.contains("start with --allow-weak"), "\(refused.errors)")
            let allowed = try CommandLineTests.run(["check", "--config", path, "--allow-weak"])
            #expect(allowed.status == 0, "\(allowed.errors)")
            #expect(allowed.output.contains("aes128-sha1-modp1024") && allowed.output.contains("modp1024 is weak"))
        }
    }

    /// A bad line of an xfrm file costs the line.
    @Test func theOtherLinesArePlanned() throws {
        try CommandLineTests.withFile(CommandLineTests.tunnel + "\nxfrm nonsense\n") { path in
            let outcome = try CommandLineTests.run(["check", "--xfrm-batch", path])
            #expect(outcome.status == 78 && outcome.output.contains("1 state"))
            #expect(outcome.errors.hasSuffix("sluice: 1 error\n"), "\(outcome.errors)")
        }
    }

    @Test func foldersOfTheEnvironment() throws {
        let folder = NSTemporaryDirectory() + "sluice-\(UUID().uuidString.prefix(8))"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try FileManager.default.createDirectory(atPath: folder + "/x509", withIntermediateDirectories: true)
        try Data("nonsense".utf8).write(to: URL(filePath: folder + "/x509/broken.pem"))
        try CommandLineTests.withFile(Self.site) { path in
            let outcome = try CommandLineTests.run(
                ["check", "--config", path], prefix: ["/usr/bin/env", "SWANCTL_DIR=\(folder)"])
            #expect(outcome.status == 0)
            let warning = "\n\(folder)/x509/broken.pem: warning: is not used: unreadable certificate"
            #expect(outcome.output.contains(warning), "\(outcome)")
        }
    }

    @Test func replayWindowOfChildrenThatNameNone() throws {
        try CommandLineTests.withFile(Self.site) { path in
            let outcome = try CommandLineTests.run(["check", "--config", path, "--replay-window", "64"])
            #expect(outcome.output.contains("replay window 64"), "\(outcome)")
            let named = Self.site.replacing("start_action", with: "replay_window = 128\nstart_action")
            try CommandLineTests.withFile(named) { path in
                let outcome = try CommandLineTests.run(["check", "--config", path, "--replay-window", "64", "--json"])
                #expect(outcome.output.contains("\"replay_window\": 128"), "\(outcome)")
            }
        }
    }

    @Test func bothKindsOfFiles() throws {
        try CommandLineTests.withFile(Self.site) { config in
            try CommandLineTests.withFile(CommandLineTests.tunnel) { batch in
                let arguments = ["check", "--config", config, "--xfrm-batch", batch]
                let text = try CommandLineTests.run(arguments)
                #expect(text.output.contains("1 connection") && text.output.contains("1 state"))
                let json = try CommandLineTests.run(arguments + ["--json"])
                let document = try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any]
                #expect(document.map { Set($0.keys) } == ["boundary", "config", "xfrm_batch"])
            }
        }
    }
}
