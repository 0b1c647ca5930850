import Foundation
import IKEv2
import Testing

@testable import ControlPlane

/// `sluice initiate`, `terminate` and `rekey`, the built binary, against a control socket.
@Suite struct SluiceCommandTests {
    /// `SLUICE_BINARY`, else the debug build of this package, which comes with the tests.
    static let binary: String = {
        if let path = ProcessInfo.processInfo.environment["SLUICE_BINARY"] { return path }
        let package = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        return package.appending(path: ".build/debug/sluice").path
    }()

    struct Outcome {
        var status: Int32
        var output: String
        var errors: String

        var document: [String: Any]? {
            (try? JSONSerialization.jsonObject(with: Data(output.utf8))) as? [String: Any]
        }
    }

    /// A run of the binary; `outcome` waits for its end.
    struct Running {
        private let process = Process()
        private let output = Pipe()
        private let errors = Pipe()

        init(_ server: CommandServer, _ arguments: String...) throws { try self.init(server, arguments) }

        init(_ server: CommandServer, _ arguments: [String]) throws {
            process.executableURL = URL(filePath: SluiceCommandTests.binary)
            process.arguments = arguments + ["--control", server.path]
            process.standardOutput = output
            process.standardError = errors
            process.standardInput = FileHandle.nullDevice
            try process.run()
        }

        func outcome() -> Outcome {
            let text = output.fileHandleForReading.readDataToEndOfFile()
            let problems = errors.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
            return Outcome(
                status: process.terminationStatus, output: String(decoding: text, as: UTF8.self),
                errors: String(decoding: problems, as: UTF8.self))
        }
    }

    static func withConnection(_ body: (CommandServer) throws -> Void) throws {
        try CommandServer.with { server in
            let child = try Samples.childSA()
            try server.onLoop { sessions, _ in
                sessions.connections = [try Samples.connection()]
                sessions.sessions = [Samples.session(children: [child])]
            }
            try body(server)
        }
    }

    @Test func initiateShowsTheNegotiationAndItsSuccess() throws {
        try Self.withConnection { server in
            for json in [false, true] {
                let running =
                    try json
                    ? Running(server, "initiate", "--child", "net", "--json")
                    : Running(server, "initiate", "--child", "net")
                try server.wait { sessions, _ in !sessions.initiations.isEmpty }
                try server.onLoop { sessions, control in
                    control.report(ManagerEvent(ike: Samples.session(), event: .note(.info, "on the way")))
                    sessions.initiations.removeFirst()(.success(()))
                }
                let outcome = running.outcome()
                #expect(outcome.status == 0, "\(outcome)")
                #expect(outcome.errors.isEmpty)
                if json {
                    #expect(outcome.document?["success"] as? Bool == true)
                    #expect(outcome.document?["log"] as? [String] == ["on the way"])
                } else {
                    #expect(outcome.output == "on the way\nchild net is up\n")
                }
            }
        }
    }

    @Test func initiateEndsWithTheReasonOfItsFailure() throws {
        try Self.withConnection { server in
            let running = try Running(server, "initiate", "--ike", "moon", "--json")
            try server.wait { sessions, _ in !sessions.initiations.isEmpty }
            try server.onLoop { sessions, _ in
                sessions.initiations[0](.failure(Explanation("no proposal chosen", remedy: "set proposals = x")))
            }
            let outcome = running.outcome()
            #expect(outcome.status == 1)
            #expect(outcome.errors == "sluice: no proposal chosen; set proposals = x\n")
            #expect(outcome.document?["success"] as? Bool == false)
            #expect(outcome.document?["error"] as? String == "no proposal chosen; set proposals = x")
        }
    }

    @Test func initiateCanBeSilent() throws {
        try Self.withConnection { server in
            let running = try Running(server, "initiate", "--child", "net", "--loglevel", "-1")
            try server.wait { sessions, _ in !sessions.initiations.isEmpty }
            try server.onLoop { sessions, control in
                control.report(ManagerEvent(ike: Samples.session(), event: .note(.warning, "look here")))
                sessions.initiations[0](.success(()))
            }
            let outcome = running.outcome()
            #expect(outcome.status == 0 && outcome.output == "child net is up\n", "\(outcome)")
        }
    }

    @Test func initiateWaitsNoLongerThanItShould() throws {
        try Self.withConnection { server in
            let outcome = try Running(server, "initiate", "--child", "net", "--timeout", "1").outcome()
            #expect(outcome.status == 1)
            #expect(outcome.errors.contains("child net is not up after 1000 ms"), "\(outcome)")
        }
    }

    @Test func terminateSaysHowMany() throws {
        try Self.withConnection { server in
            let running = try Running(server, "terminate", "--child", "net")
            try server.wait { sessions, _ in !sessions.terminations.isEmpty }
            try server.onLoop { sessions, _ in sessions.terminations[0](.success(1)) }
            let outcome = running.outcome()
            #expect(outcome.status == 0)
            #expect(outcome.output == "1 of 1 SAs ended\n")
            #expect(try server.onLoop { sessions, _ in sessions.calls } == ["terminate child net"])
            let nothing = try Running(server, "terminate", "--ike-id", "99").outcome()
            #expect(nothing.status == 1)
            #expect(nothing.errors == "sluice: no matching SAs to terminate found\n")
        }
    }

    @Test func rekeyBegins() throws {
        try Self.withConnection { server in
            let outcome = try Running(server, "rekey", "--child-id", "7", "--json").outcome()
            #expect(outcome.status == 0, "\(outcome)")
            #expect(outcome.document?["matches"] as? Int == 1)
            let again = try Running(server, "rekey", "--ike", "moon", "--reauth").outcome()
            #expect(again.output == "1 SAs are being reauthenticated\n")
            #expect(
                try server.onLoop { sessions, _ in sessions.calls } == [
                    "rekey child-id 7", "rekey ike moon reauthenticate",
                ])
        }
    }

    @Test(arguments: [
        ["initiate"], ["terminate"], ["rekey"], ["initiate", "--child", "net", "--timeout", "100000"],
        ["terminate", "--ike-id", "many"],
    ]) func badUsageEndsWith64(_ arguments: [String]) throws {
        try Self.withConnection { server in
            let outcome = try Running(server, arguments).outcome()
            #expect(outcome.status == 64, "\(outcome)")
            #expect(outcome.output.isEmpty)
        }
    }
}
