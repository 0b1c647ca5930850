import IKEv2
import Testing

@testable import ControlPlane

/// `initiate`, `terminate`, `rekey`, `install`, `uninstall` before a manager that does what the test says.
@Suite struct NegotiationCommandTests {
    @Test func initiateAnswersWhenTheChildIsUp() throws {
        try CommandServer.with { server in
            try server.onLoop { sessions, _ in sessions.connections = [try Samples.connection()] }
            let request = server.inBackground("initiate", ["child": "net", "loglevel": "1"])
            try server.wait { sessions, _ in sessions.initiations.count == 1 }
            #expect(!request.isDone)
            try server.onLoop { sessions, control in
                control.report(ManagerEvent(ike: Samples.session(), event: .note(.info, "on the way")))
                control.report(ManagerEvent(ike: Samples.session(), event: .note(.debug, "a detail")))
                control.report(ManagerEvent(ike: Samples.session(8, name: "sun"), event: .note(.info, "another")))
                sessions.initiations[0](.success(()))
                control.report(ManagerEvent(ike: Samples.session(), event: .note(.info, "and that is why")))
            }
            try server.onLoop { _, control in
                control.report(ManagerEvent(ike: Samples.session(), event: .note(.info, "too late")))
            }
            let outcome = try request.outcome()
            #expect(try outcome.answer.get() == ["success": "yes"])
            #expect(outcome.events.map { $0["msg"] } == ["on the way", "and that is why"])
            #expect(try server.onLoop { sessions, _ in sessions.calls } == ["initiate - net"])
        }
    }

    @Test func initiateSaysWhyItFailed() throws {
        try CommandServer.with { server in
            let request = server.inBackground("initiate", ["child": "net", "ike": "moon"])
            try server.wait { sessions, _ in sessions.initiations.count == 1 }
            try server.onLoop { sessions, _ in
                sessions.initiations[0](.failure(Explanation("no proposal chosen", remedy: "set proposals = x")))
            }
            let outcome = try request.outcome()
            #expect(throws: VICIClientError.refused("no proposal chosen; set proposals = x")) {
                try outcome.answer.get()
            }
        }
    }

    @Test func initiateWaitsNoLongerThanItShould() throws {
        try CommandServer.with { server in
            let late = try server.inBackground("initiate", ["ike": "moon", "timeout": "50"]).outcome()
            #expect(throws: VICIClientError.refused("ike moon is not up after 50 ms; the negotiation goes on")) {
                try late.answer.get()
            }
            // The outcome that comes after all has nobody to go to.
            try server.onLoop { sessions, _ in sessions.initiations[0](.success(())) }
            #expect(try server.client().request("initiate", ["ike": "moon", "timeout": "-1"]) == ["success": "yes"])
        }
    }

    @Test func controlLogHonoursTheLevel() throws {
        try CommandServer.with { server in
            try server.onLoop { sessions, _ in sessions.connections = [try Samples.connection()] }
            let silent = server.inBackground("initiate", ["child": "net", "loglevel": "-1"])
            let full = server.inBackground("initiate", ["child": "net", "loglevel": "2"])
            try server.wait { sessions, _ in sessions.initiations.count == 2 }
            try server.onLoop { sessions, control in
                for level in [NoteLevel.debug, .info, .warning] {
                    control.report(ManagerEvent(ike: Samples.session(), event: .note(level, "\(level)")))
                }
                for outcome in sessions.initiations { outcome(.success(())) }
            }
            #expect(try silent.outcome().events.isEmpty)
            #expect(try full.outcome().events.map { $0["level"] } == ["2", "1", "0"])
        }
    }

    @Test func aClientThatLeavesIsForgotten() throws {
        try CommandServer.with { server in
            do {
                let raw = try RawConnection(server.path)
                raw.write(try VICIPacket.commandRequest("initiate", ["child": "net"]).encoded())
                try server.wait { sessions, _ in sessions.initiations.count == 1 }
            }
            try server.wait { _, control in
                control.report(ManagerEvent(ike: Samples.session(), event: .note(.info, "anybody?")))
                return control.watcherCount == 0
            }
        }
    }

    @Test func terminateCountsAndWaits() throws {
        try CommandServer.with { server in
            let child = try Samples.childSA()
            try server.onLoop { sessions, _ in
                sessions.sessions = [Samples.session(children: [child]), Samples.session(8, name: "sun")]
            }
            let request = server.inBackground("terminate", ["ike": "moon"])
            try server.wait { sessions, _ in sessions.terminations.count == 1 }
            try server.onLoop { sessions, control in
                control.report(ManagerEvent(ike: Samples.session(), event: .closed(.terminated)))
                sessions.terminations[0](.success(1))
            }
            let outcome = try request.outcome()
            #expect(try outcome.answer.get() == ["success": "yes", "matches": "1", "terminated": "1"])
            #expect(outcome.events.count == 1)
            #expect(try server.onLoop { sessions, _ in sessions.calls } == ["terminate ike moon"])
        }
    }

    /// An attempt between two tries has no IKE SA, and can be ended all the same.
    @Test func terminateEndsAnAttemptThatWaits() throws {
        try CommandServer.with { server in
            try server.onLoop { sessions, _ in sessions.waiting = 1 }
            let request = server.inBackground("terminate", ["ike": "moon"])
            try server.wait { sessions, _ in sessions.terminations.count == 1 }
            try server.onLoop { sessions, _ in sessions.terminations[0](.success(1)) }
            #expect(
                try request.outcome().answer.get() == ["success": "yes", "matches": "1", "terminated": "1"])
        }
    }

    @Test func terminateByForceDoesNotWait() throws {
        try CommandServer.with { server in
            let child = try Samples.childSA()
            try server.onLoop { sessions, _ in sessions.sessions = [Samples.session(children: [child])] }
            let atOnce = server.inBackground("terminate", ["ike-id": "6", "force": "yes"])
            try server.wait { sessions, _ in sessions.terminations.count == 1 }
            try server.onLoop { sessions, _ in sessions.terminations[0](.success(1)) }
            #expect(try atOnce.outcome().answer.get()["terminated"] == "1")
            // With a time limit, when the time is up.
            let later = server.inBackground("terminate", ["ike": "moon", "force": "yes", "timeout": "50"])
            #expect(try later.outcome().answer.get()["success"] == "yes")
            let calls = try server.onLoop { sessions, _ in sessions.calls }
            #expect(calls == ["terminate ike-id 6 force", "terminate ike moon", "terminate ike moon force"])
        }
    }

    /// A CHILD_SA is there until the peer has answered: nobody is told that it is gone before.
    @Test func aChildIsNotTerminatedByForce() throws {
        try CommandServer.with { server in
            let child = try Samples.childSA()
            try server.onLoop { sessions, _ in sessions.sessions = [Samples.session(children: [child])] }
            let request = server.inBackground("terminate", ["child": "net", "force": "yes", "timeout": "50"])
            guard case .failure(.refused(let why)) = try request.outcome().answer else {
                Issue.record("it was told to be gone")
                return
            }
            #expect(why.contains("has not answered") && why.contains("--ike NAME --force"), "\(why)")
            #expect(try server.onLoop { sessions, _ in sessions.calls } == ["terminate child net"])
        }
    }

    static let nothing: [(String, VICIMessage)] = [
        ("terminate", ["ike": "nobody"]), ("terminate", ["ike-id": "99"]), ("rekey", ["child": "nobody"]),
        ("rekey", ["child_id": "99"]),
    ]

    @Test(arguments: nothing) func saysWhenNothingMatches(_ pair: (String, VICIMessage)) throws {
        try CommandServer.with { server in
            try server.onLoop { sessions, _ in sessions.sessions = [Samples.session()] }
            #expect(throws: VICIClientError.refused("no matching SAs to \(pair.0) found")) {
                try server.client().request(pair.0, pair.1)
            }
        }
    }

    @Test(arguments: ["terminate", "rekey"]) func neverMeansEverything(_ command: String) throws {
        try CommandServer.with { server in
            try server.onLoop { sessions, _ in sessions.sessions = [Samples.session()] }
            #expect(throws: VICIClientError.self) { try server.client().request(command, [:]) }
            #expect(throws: VICIClientError.self) { try server.client().request(command, ["ike-id": "-1"]) }
            #expect(try server.onLoop { sessions, _ in sessions.calls } == [])
        }
    }

    @Test func rekeysAndReauthenticates() throws {
        try CommandServer.with { server in
            try server.onLoop { sessions, _ in sessions.sessions = [Samples.session(), Samples.session(7)] }
            let client = try server.client()
            #expect(try client.request("rekey", ["ike": "moon"]) == ["success": "yes", "matches": "2"])
            #expect(try client.request("rekey", ["ike-id": "7", "reauth": "yes"])["matches"] == "1")
            let calls = try server.onLoop { sessions, _ in sessions.calls }
            #expect(calls == ["rekey ike moon", "rekey ike-id 7 reauthenticate"])
        }
    }

    @Test func installsAndUninstallsTraps() throws {
        try CommandServer.with { server in
            try server.onLoop { sessions, _ in sessions.connections = [try Samples.connection()] }
            let client = try server.client()
            #expect(try client.request("install", ["child": "net"]) == ["success": "yes"])
            #expect(throws: VICIClientError.refused("there is no child sea; name one of the configuration")) {
                try client.request("install", ["child": "sea"])
            }
            try client.register("list-policy")
            var listed: [VICIMessage] = []
            _ = try client.request("list-policies", ["trap": "yes"]) { listed.append($1) }
            #expect(listed.map { $0.fields.first?.name } == ["moon/net"])
            #expect(listed.first?.section("moon/net")?["child"] == "net")
            #expect(try client.request("uninstall", ["child": "net"]) == ["success": "yes"])
            #expect(throws: VICIClientError.refused("policy 'net' not found")) {
                try client.request("uninstall", ["child": "net"])
            }
        }
    }
}
