import IKEv2
import Logging
import Packets
import Synchronization
import Testing

@testable import ControlPlane

/// What operators read of an event.
@Suite struct EventLogTests {
    /// Keeps records instead of writing them.
    final class Records: LogHandler, @unchecked Sendable {
        private let kept = Mutex<[LogEvent]>([])
        var logLevel = Logger.Level.trace
        var metadata: Logger.Metadata = [:]
        var all: [LogEvent] { kept.withLock { $0 } }

        subscript(metadataKey key: String) -> Logger.MetadataValue? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) { kept.withLock { $0.append(event) } }
    }

    private static func endpoint(_ text: String) throws -> Endpoint {
        Endpoint(try #require(IPAddress(text)), port: 500)
    }

    private func record(_ event: ManagerEvent.Kind, connection: String = "site") throws -> LogEvent {
        let path = Path(local: try Self.endpoint("192.0.2.1"), remote: try Self.endpoint("192.0.2.2"))
        let ike = IKESAStatus(
            id: 7, connectionName: connection, state: .connecting, isInitiator: true, initiatorSPI: 1,
            responderSPI: 0, path: path, remoteIdentity: .domainName("moon.example.org"))
        let records = Records()
        let log = EventLog(logger: Logger(label: "ike") { _ in records }) { 0 }
        log.write(ManagerEvent(ike: ike, event: event))
        #expect(records.all.count == 1)
        return try #require(records.all.first)
    }

    /// A peer that is misconfigured fills no log; all of it is there for those who want details.
    @Test func theSameFailureIsARecordNowAndThen() throws {
        let records = Records()
        var now: Instant = 0
        let log = EventLog(logger: Logger(label: "ike") { _ in records }) { now }
        let ike = IKESAStatus.sample(try Self.endpoint("192.0.2.1"), try Self.endpoint("192.0.2.2"))
        for _ in 0..<60 {
            log.write(ManagerEvent(ike: ike, event: .session(.failed(Explanation("no proposal chosen")))))
            now += .seconds(60)
        }
        #expect((5...9).contains(records.all.count { $0.level == .error }))
        #expect(records.all.count == 60)
        #expect(
            records.all.last { $0.level == .error }?.metadata?["repeated"]?.description.hasPrefix("9 times") == true)
    }

    /// Where there is no way to a peer, there is none to name.
    @Test func nobodyIsAPeerAtNoAddress() throws {
        let records = Records()
        let log = EventLog(logger: Logger(label: "ike") { _ in records }) { 0 }
        let nowhere = Endpoint(.unspecified(.ipv4), port: 0)
        log.write(ManagerEvent(ike: .sample(nowhere, nowhere), event: .note(.warning, "waits for a way to the peer")))
        #expect(records.all.first?.metadata?["peer"] == nil)
        #expect(records.all.first?.metadata?["connection"]?.description == "site")
    }

    @Test func aFailureIsOneRecordWithDetailsAndRemedy() throws {
        let explanation = Explanation(
            "no proposal chosen", details: ["we: aes256gcm16-prfsha384-ecp384", "peer: aes128-sha256-modp2048"],
            remedy: "add aes128-sha256-modp2048 to proposals of connection site")
        let record = try record(.session(.failed(explanation)))
        #expect(record.level == .error)
        #expect(record.message.description == "IKE SA not set up: no proposal chosen")
        #expect(record.metadata?["details"] == .array(explanation.details.map { .string($0) }))
        #expect(record.metadata?["remedy"]?.description == explanation.remedy)
        #expect(record.metadata?["peer"]?.description == "192.0.2.2:500")
        #expect(record.metadata?["connection"]?.description == "site")
    }

    @Test func aChildThatFailsLeavesTheConnection() throws {
        let record = try record(.session(.childFailed(name: "net", Explanation("traffic selectors unacceptable"))))
        #expect(record.level == .warning)
        #expect(record.message.description == "CHILD_SA net not set up: traffic selectors unacceptable")
        #expect(record.metadata?["details"] == nil)
        #expect(record.metadata?["remedy"] == nil)
    }

    @Test func anEstablishedSANamesBothEnds() throws {
        let record = try record(.session(.established(initialContact: true)))
        #expect(record.level == .notice)
        #expect(record.metadata?["role"]?.description == "initiator")
        #expect(record.metadata?["remote-id"]?.description.contains("moon.example.org") == true)
        #expect(record.metadata?["initial-contact"]?.description == "yes")
    }

    static let closings: [(CloseReason, Logger.Level)] = [
        (.terminated, .notice), (.deletedByPeer, .notice), (.rekeyed, .notice), (.reauthenticated, .notice),
        (.superseded, .notice), (.peerDead, .warning), (.expired, .warning), (.halfOpenTimeout, .info),
        (.negotiationFailed(Explanation("authentication failed")), .debug),
    ]

    @Test(arguments: closings) func theEndSaysWhy(_ closing: (reason: CloseReason, level: Logger.Level)) throws {
        let record = try record(.closed(closing.reason))
        #expect(record.level == closing.level)
        #expect(record.message.description.hasPrefix("IKE SA is closed"))
    }

    @Test func aResponderThatDoesNotKnowTheConnectionYetNamesNone() throws {
        let record = try record(.closed(.halfOpenTimeout), connection: "")
        #expect(record.metadata?["connection"] == nil)
        #expect(record.metadata?["ike"]?.description == "7")
    }
}

extension IKESAStatus {
    fileprivate static func sample(_ local: Endpoint, _ remote: Endpoint) -> IKESAStatus {
        IKESAStatus(
            id: 7, connectionName: "site", state: .connecting, isInitiator: true, initiatorSPI: 1, responderSPI: 0,
            path: Path(local: local, remote: remote))
    }
}
