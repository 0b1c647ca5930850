import IKEv2
import Testing

@testable import ControlPlane

/// Events that belong to no command.
@Suite struct EventHubTests {
    @Test func goToThoseWhoRegisteredOnly() throws {
        try CommandServer.with { server in
            let listening = try RawConnection(server.path)
            let registration = try VICIPacket.eventRegister("ike-updown").encoded()
            listening.write(registration)
            let confirmation = try VICIPacket.eventConfirm.encoded()
            #expect(listening.read(confirmation.count) == confirmation)
            #expect(try server.onLoop { _, control in control.hub.isWanted("ike-updown") })
            #expect(try server.onLoop { _, control in !control.hub.isWanted("log") })
            let expected = try server.onLoop { _, control in
                control.report(
                    ManagerEvent(ike: Samples.session(), event: .session(.established(initialContact: false))))
                var message: VICIMessage = ["up": "yes"]
                message.fields += SAListing.named(Samples.session(), now: control.now, children: nil).fields
                return try VICIPacket.event("ike-updown", message).encoded()
            }
            #expect(listening.read(expected.count) == expected)
            listening.write(try VICIPacket.eventUnregister("ike-updown").encoded())
            #expect(listening.read(confirmation.count) == confirmation)
            #expect(try server.onLoop { _, control in !control.hub.isWanted("ike-updown") })
        }
    }

    @Test(arguments: ["log", "ike-updown", "ike-rekey", "child-updown", "child-rekey", "list-sa", "control-log"])
    func allEventsCanBeRegisteredFor(_ event: String) throws {
        try CommandServer.with { server in try server.client().register(event) }
    }

    @Test func logTellsWhatIKEDoes() throws {
        try CommandServer.with { server in
            let client = try server.client()
            try client.register("log")
            var lines: [VICIMessage] = []
            try server.onLoop { _, control in
                control.report(ManagerEvent(ike: Samples.session(), event: .note(.warning, "look here")))
                control.report(ManagerEvent(ike: Samples.session(), event: .note(.debug, "too fine")))
            }
            _ = try client.request("version") { lines.append($1) }
            #expect(lines.map { $0["msg"] } == ["look here"])
            #expect(lines.first?["group"] == "IKE")
            #expect(lines.first?["ikesa-name"] == "moon")
        }
    }

    /// A client that does not read costs a megabyte and what the kernel's buffers hold, no more, and delays nobody.
    @Test func aSlowClientMissesEventsAndIsTold() throws {
        try CommandServer.with { server in
            let slow = try RawConnection(server.path)
            slow.write(try VICIPacket.eventRegister("log").encoded())
            _ = slow.read(5)
            let text = String(repeating: "x", count: 8000)
            try server.onLoop { _, control in
                for _ in 0..<1000 { control.report(ManagerEvent(ike: Samples.session(), event: .note(.info, text))) }
            }
            // Others are served meanwhile.
            #expect(try server.client().request("version")["daemon"] == "sluice")
            var received = 0
            var told: String?
            while told == nil {
                try server.onLoop { _, control in
                    control.report(ManagerEvent(ike: Samples.session(), event: .note(.info, "next")))
                }
                guard case .event("log", let message) = try slow.packet() else { continue }
                received += message["msg"] == text ? 1 : 0
                if message["msg"]?.hasSuffix("they were not read fast enough") == true { told = message["msg"] }
            }
            #expect(received < 1000)
            #expect(received > 100)
        }
    }

    /// A command that shows its client what happens does not keep for it what it does not read.
    @Test func aSlowClientOfACommandMissesLinesToo() throws {
        try CommandServer.with { server in
            let slow = try RawConnection(server.path)
            slow.write(try VICIPacket.eventRegister(EventLine.controlEvent).encoded())
            _ = slow.read(5)
            try server.onLoop { sessions, _ in sessions.sessions = [Samples.session()] }
            slow.write(try VICIPacket.commandRequest("terminate", ["ike": "moon", "loglevel": "2"]).encoded())
            try server.wait { _, control in control.watcherCount == 1 }
            let text = String(repeating: "x", count: 8000)
            try server.onLoop { sessions, control in
                for _ in 0..<2000 { control.report(ManagerEvent(ike: Samples.session(), event: .note(.info, text))) }
                sessions.terminations[0](.success(1))
            }
            var received = 0
            while case .event = try slow.packet() { received += 1 }
            #expect(received < 1000)
            #expect(received > 100)
        }
    }

    /// A list of many SAs goes out as fast as it is read, all of it.
    @Test func aLongListIsStreamedToTheEnd() throws {
        try CommandServer.with { server in
            try server.onLoop { sessions, _ in
                let child = try Samples.childSA()
                sessions.sessions = (1...5000).map { Samples.session($0, children: [child]) }
            }
            let client = try server.client()
            try client.register("list-sa")
            var numbers: [String] = []
            _ = try client.request("list-sas", [:]) { numbers.append($1.section("moon")?["uniqueid"] ?? "") }
            #expect(numbers == (1...5000).map { "\($0)" })
        }
    }

    @Test func aClientThatLeavesInTheMiddleOfAListIsForgotten() throws {
        try CommandServer.with { server in
            try server.onLoop { sessions, _ in sessions.sessions = (1...5000).map { Samples.session($0) } }
            do {
                let leaving = try RawConnection(server.path)
                leaving.write(try VICIPacket.eventRegister("list-sa").encoded())
                leaving.write(try VICIPacket.commandRequest("list-sas", [:]).encoded())
                _ = leaving.read(1000)
            }
            #expect(try server.client().request("version")["daemon"] == "sluice")
        }
    }
}

extension RawConnection {
    /// The next packet.
    func packet() throws -> VICIPacket {
        let length = read(4).reduce(0) { $0 << 8 | Int($1) }
        return try VICIPacket(decoding: read(length))
    }
}
