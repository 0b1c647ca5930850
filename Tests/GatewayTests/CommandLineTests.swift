import Foundation
import Testing

/// The built binary, as a user meets it: exit codes, what is said where, and that mistakes are answered with remedies.
@Suite struct CommandLineTests {
    struct Outcome {
        var status: Int32
        var output: String
        var errors: String
    }

    /// `SLUICE_BINARY`, else the debug build of this package, which comes with the tests.
    static let binary: String = {
        if let path = ProcessInfo.processInfo.environment["SLUICE_BINARY"] { return path }
        let package = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return package.appending(path: ".build/debug/sluice").path
    }()

    static func run(_ arguments: [String], prefix: [String] = ["/usr/bin/env"]) throws -> Outcome {
        let process = Process()
        process.executableURL = URL(filePath: prefix[0])
        process.arguments = Array(prefix.dropFirst()) + [binary] + arguments
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        process.standardInput = FileHandle.nullDevice
        try process.run()
        // What these commands print fits a pipe, so one after the other does not block.
        let text = output.fileHandleForReading.readDataToEndOfFile()
        let problems = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Outcome(
            status: process.terminationStatus, output: String(decoding: text, as: UTF8.self),
            errors: String(decoding: problems, as: UTF8.self))
    }

    /// A file of this text, gone with `body`.
    static func withFile<R>(_ text: String, _ body: (String) throws -> R) throws -> R {
        let path = NSTemporaryDirectory() + "sluice-\(UUID().uuidString.prefix(8)).xfrm"
        let attributes: [FileAttributeKey: Any] = [.posixPermissions: 0o600]
        try #require(FileManager.default.createFile(atPath: path, contents: Data(text.utf8), attributes: attributes))
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try body(path)
    }

    static let tunnel = """
        xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x1001 reqid 1 mode tunnel \
        replay-window 64 aead rfc4106(gcm(aes)) 0x000102030405060708090a0b0c0d0e0f10111213 128
        xfrm policy add src 10.1.0.0/16 dst 10.2.0.0/16 dir out \
        tmpl src 192.0.2.1 dst 192.0.2.2 proto esp reqid 1 mode tunnel

        """

    @Test(arguments: [
        [], ["run"], ["status"], ["initiate"], ["terminate"], ["rekey"], ["check"], ["guard"], ["detach"], ["bench"],
    ])
    func helpSaysWhatItIsFor(_ command: [String]) throws {
        let outcome = try Self.run(command + ["--help"])
        #expect(outcome.status == 0)
        #expect(outcome.errors.isEmpty)
        #expect(outcome.output.contains("OVERVIEW:"))
        #expect(outcome.output.contains("USAGE: sluice"))
    }

    @Test func helpOfRunNamesEveryFlagOfTheDesign() throws {
        let help = try Self.run(["run", "--help"]).output
        let flags = [
            "--xfrm-batch", "--lan", "--wan", "--workers", "--cores", "--batch", "--frames", "--frame-size",
            "--ring-size", "--xdp-mode", "--copy-mode", "--busy-poll", "--replay-window", "--engine", "--mtu",
            "--huge-pages", "--control", "--force", "--log-level", "--log-format", "--config", "--retransmit-timeout",
            "--retransmit-base", "--retransmit-tries", "--keepalive", "--ike-fragment-size", "--maximum-sessions",
            "--maximum-half-open", "--maximum-half-open-per-address", "--cookie-threshold", "--half-open-timeout",
            "--maximum-children", "--ike-maximum-message", "--drain", "--ike-keylog",
        ]
        for flag in flags { #expect(help.contains("  \(flag)"), "no \(flag) in the help") }
    }

    static let badUsage: [([String], String)] = [
        (["nonsense"], "nonsense"),
        (["run"], "--lan"),
        (["run", "--config", "c", "--xfrm-batch", "f", "--lan", "a", "--wan", "b"], "leave out --config"),
        (["run", "--lan", "a", "--wan", "b", "--retransmit-timeout", "0"], "give 0.1 to 60 seconds"),
        (["run", "--lan", "a", "--wan", "b", "--retransmit-timeout", "inf"], "give 0.1 to 60 seconds"),
        (["run", "--lan", "a", "--wan", "b", "--retransmit-tries", "14"], "longer than an hour"),
        (["run", "--lan", "a", "--wan", "b", "--cookie-threshold=-1"], "0 to 1000000"),
        (["run", "--xfrm-batch", "f", "--wan", "eth0"], "--lan"),
        (["run", "--xfrm-batch", "f", "--lan", "a", "--wan", "b", "--batch", "0"], "give 1 to 256 packets"),
        (["run", "--xfrm-batch", "f", "--lan", "a,,b", "--wan", "b"], "--lan"),
        (["run", "--xfrm-batch", "f", "--lan", "a", "--wan", "b", "--cores", "1-x"], "--cores"),
        (["run", "--xfrm-batch", "f", "--lan", "a", "--wan", "b", "--xdp-mode", "fast"], "native"),
        (["run", "--xfrm-batch", "f", "--lan", "a", "--wan", "b", "--ring-size", "1000"], "power of two"),
        (["status", "--jason"], "--jason"),
        (["check"], "--xfrm-batch"),
        (["check", "--xfrm-batch", "f", "--replay-window", "7"], "32 to 65536"),
        (["bench", "--cipher", "rot13"], "--cipher"),
        (["bench", "--size", "20"], "48 to"),
    ]

    @Test(arguments: badUsage) func badUsageEndsWith64(_ pair: ([String], String)) throws {
        let outcome = try Self.run(pair.0)
        #expect(outcome.status == 64)
        #expect(outcome.output.isEmpty)
        #expect(outcome.errors.contains(pair.1), "\(outcome.errors)")
    }

    @Test(arguments: [["check"], ["run", "--lan", "lo", "--wan", "lo"]])
    func badConfigurationEndsWith78(_ command: [String]) throws {
        // A bad line does not keep a gateway from running.
        if command[0] == "check" {
            try Self.withFile(Self.tunnel + "xfrm state add nonsense\n") { path in
                let outcome = try Self.run(command + ["--xfrm-batch", path])
                #expect(outcome.status == 78)
                #expect(outcome.errors.contains("\(path):3:"), "\(outcome.errors)")
                #expect(!outcome.errors.contains("000102030405"))
            }
        }
        let missing = try Self.run(command + ["--xfrm-batch", "/nonexistent/file"])
        #expect(missing.status == 78)
        #expect(missing.errors.contains("/nonexistent/file"))
    }

    @Test func checkSaysWhatWouldHappenAndNoKey() throws {
        try Self.withFile(Self.tunnel) { path in
            let text = try Self.run(["check", "--xfrm-batch", path])
            #expect(text.status == 0)
            #expect(text.output.contains("aes128gcm16"))
            let json = try Self.run(["check", "--xfrm-batch", path, "--json"])
            #expect(json.status == 0)
            let document = try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any]
            let association = (document?["associations"] as? [[String: Any]])?.first
            #expect(association?["spi"] as? String == "0x00001001")
            #expect(association?["replay_window"] as? Int == 64)
            #expect((document?["policies"] as? [Any])?.count == 1)
            for output in [text.output, text.errors, json.output, json.errors] {
                #expect(!output.contains("0001020304"))
            }
        }
    }

    @Test func checkWarnsOfAKeyFileThatOthersMayRead() throws {
        try Self.withFile(Self.tunnel) { path in
            #expect(try !Self.run(["check", "--xfrm-batch", path]).errors.contains("others may read"))
            try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
            #expect(try Self.run(["check", "--xfrm-batch", path]).errors.contains("chmod 600"))
        }
    }

    @Test func statusWithoutAGatewaySaysWhatToDo() throws {
        let outcome = try Self.run(["status", "--control", "/nonexistent/socket"])
        #expect(outcome.status == 1)
        #expect(outcome.errors.hasPrefix("sluice: cannot reach sluice at /nonexistent/socket"))
        #expect(outcome.errors.contains("is `sluice run` running"))
    }

    @Test func runNamesAnInterfaceThatIsNotThere() throws {
        try Self.withFile(Self.tunnel) { path in
            // In a network namespace of its own, since the boundary is closed first, and stays so.
            let outcome = try Self.run(
                ["run", "--xfrm-batch", path, "--lan", "absent0", "--wan", "lo"],
                prefix: ["/usr/bin/unshare", "--net"])
            #expect(outcome.status == 1)
            #expect(outcome.errors.contains("boundary is closed"))
            #expect(outcome.errors.contains("absent0"))
            #expect(outcome.errors.contains("ip link"))
        }
    }

    /// Root without its capabilities is told which ones are missing.
    @Test func runNamesMissingPrivileges() throws {
        try Self.withFile(Self.tunnel) { path in
            let outcome = try Self.run(
                ["run", "--xfrm-batch", path, "--lan", "lo", "--wan", "lo"],
                prefix: ["/usr/bin/setpriv", "--bounding-set=-all", "--inh-caps=-all"])
            #expect(outcome.status == 1)
            for name in ["CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_BPF", "CAP_IPC_LOCK", "run as root"] {
                #expect(outcome.errors.contains(name), "\(outcome.errors)")
            }
        }
    }

    @Test func benchOfIKEPrintsTheDocumentedJSON() throws {
        let outcome = try Self.run(["bench", "--ike", "--ike-sas", "50", "--json"])
        #expect(outcome.status == 0, "\(outcome.errors)")
        let document = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any]
        #expect(document?["associations"] as? Int == 50)
        #expect((document?["handshakes_per_second"] as? Double ?? 0) > 1)
        #expect((document?["liveness_checks"] as? Int ?? 0) >= 50)
        #expect(document?["bytes_per_association"] is NSNumber)
        #expect((0...1).contains(document?["control_thread_load"] as? Double ?? -1))
        let children = document?["children"] as? [[String: Any]] ?? []
        #expect(children.compactMap { $0["present"] as? Int } == [50])
        for name in ["up_microseconds", "rekey_microseconds", "down_microseconds"] {
            #expect((children.first?[name] as? Double ?? 0) > 0, "\(name)")
        }
    }

    @Test func benchPrintsTheDocumentedJSON() throws {
        let outcome = try Self.run(["bench", "--json", "--size", "64", "--size", "imix", "--batches", "16"])
        #expect(outcome.status == 0, "\(outcome.errors)")
        let document = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any]
        #expect((document?["tsc_hz"] as? Double ?? 0) > 1e8)
        #expect(document?["engine"] as? String == "openssl")
        #expect(document?["cipher"] as? String == "aes128gcm16")
        let results = document?["results"] as? [[String: Any]] ?? []
        #expect(results.compactMap { $0["direction"] as? String }.sorted().first == "inbound")
        #expect(results.count == 6)
        for result in results {
            for name in [
                "cycles_per_packet", "median_cycles_per_packet", "crypto_cycles_per_packet", "packets_per_second",
                "bits_per_second",
            ] { #expect((result[name] as? Double ?? 0) > 0, "\(name)") }
        }
        #expect(Set(results.map { "\($0["size"] ?? "")" }) == ["64", "imix"])
    }
}
