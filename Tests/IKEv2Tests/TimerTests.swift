import IKEv2Messages
import IPsec
import Testing

@testable import IKEv2

/// What sessions do by themselves: rekeys in time, liveness in between, and nothing without end.
@Suite struct TimerTests {
    private func joined(_ change: (TwoSessions) -> Void) -> TwoSessions {
        let bench = TwoSessions()
        change(bench)
        bench.initiate()
        bench.run()
        bench.expectJoined()
        bench.forgetTrace()
        return bench
    }

    @Test func aChildIsRekeyedWhenItsTimeComes() {
        let bench = joined { $0.connection.children[0].time = Child.Limit(rekey: 100, life: 200, random: 0) }
        let first = bench.west.children.map(\.id)
        bench.pass(seconds: 99)
        #expect(bench.trace.isEmpty)
        bench.pass(seconds: 10)
        #expect(bench.trace.first?.hasPrefix("CREATE_CHILD_SA request 2 [SK { N(REKEY_SA) SA Ni TSi TSr }]") == true)
        bench.expectJoined()
        #expect(bench.west.children.map(\.id) != first)
        bench.pass(seconds: 1000)
        bench.expectJoined()
    }

    @Test func theIKESAIsRekeyedWhenItsTimeComes() {
        let bench = joined {
            $0.connection.rekeyTime = 100
            $0.connection.randomTime = 0
        }
        let first = bench.west.session?.initiatorSPI
        bench.pass(seconds: 110)
        #expect(bench.trace.first?.hasPrefix("CREATE_CHILD_SA request 2 [SK { SA Ni KEi }]") == true)
        bench.expectJoined()
        #expect(bench.west.session?.initiatorSPI != first)
        bench.pass(seconds: 1000)
        bench.expectJoined()
    }

    /// Both times on both sides, all at once and again and again.
    @Test func everythingIsRekeyedForAnHour() {
        let bench = joined { bench in
            for index in [0, 1] {
                var connection = index == 0 ? bench.connection : bench.east.connections[0]
                connection.rekeyTime = 600
                connection.randomTime = 60
                connection.dpdDelay = 30
                connection.children[0].time = Child.Limit(rekey: 200, life: 300, random: 50)
                if index == 0 { bench.connection = connection } else { bench.east.connections[0] = connection }
            }
        }
        for _ in 1...4 {
            bench.pass(seconds: 864)
            #expect(
                bench.west.sessions.filter { $0.status(at: bench.now) { _ in nil }.state == .established }.count == 1)
        }
        #expect(bench.west.failures.isEmpty)
        #expect(bench.west.closed.allSatisfy { $0.reason == .rekeyed })
        #expect(bench.east.closed.allSatisfy { $0.reason == .rekeyed })
    }

    /// A task that waits because the peer was busy is no reason to ask no more whether it lives.
    @Test func livenessIsAskedWhileATaskWaits() throws {
        let bench = joined { $0.connection.dpdDelay = 2 }
        bench.east.session?.lifecycle.rekeyBegan()
        let session = try #require(bench.west.session)
        bench.west.perform(session) {
            $0.create(.test("more", network: 1, remoteNetwork: 2), environment: bench.west.environment)
        }
        bench.pass(milliseconds: 4500)
        #expect(
            bench.trace.map { $0.contains("CREATE_CHILD_SA") } == [true, true, false, false, false, false])
        #expect(bench.trace[1].contains("N(TEMPORARY_FAILURE)"))
        bench.east.session?.lifecycle.rekeyRefused()
        bench.pass(seconds: 30)
        bench.expectJoined(children: 2)
    }

    // MARK: - Several children

    @Test func theOtherChildrenFollow() {
        let bench = TwoSessions()
        bench.connection.children.append(.test("second", network: 3, remoteNetwork: 4))
        bench.east.connections[0].children.append(.test("second", network: 4, remoteNetwork: 3))
        bench.initiate()
        bench.run()
        #expect(
            bench.trace.suffix(2) == [
                "CREATE_CHILD_SA request 2 [SK { SA Ni TSi TSr }] -->",
                "<-- CREATE_CHILD_SA response 2 [SK { SA Nr TSi TSr }]",
            ])
        bench.expectJoined(children: 2)
        #expect(bench.east.children.map(\.child.name) == ["net", "second"])
    }

    @Test func withoutAFirstChildAllFollow() {
        let bench = TwoSessions()
        bench.connection.childless = .prefer
        bench.initiate()
        bench.run()
        #expect(bench.trace[2] == "IKE_AUTH request 1 [SK { IDi N(INITIAL_CONTACT) IDr AUTH }] -->")
        #expect(bench.trace[4] == "CREATE_CHILD_SA request 2 [SK { SA Ni TSi TSr }] -->")
        bench.expectJoined()
    }

    // MARK: - Limits

    @Test func aFragmentedMessageThatIsTooLongIsRefused() {
        let bench = TwoSessions()
        bench.west.environment.settings.fragmentSizeInBytes = 140
        bench.east.environment.settings.maximumFragmentedMessageInBytes = 100
        bench.initiate()
        bench.run()
        bench.pass(seconds: 40)
        bench.expectNothingLeft()
        #expect(bench.east.environment.fragmentedMessagesRefused > 0)
        #expect(bench.west.closed.map(\.reason) == [.peerDead])
    }
}
