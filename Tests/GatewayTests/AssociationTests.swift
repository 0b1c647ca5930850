import Cryptography
import IPsec
import Logging
import Packets
import Policy
import Testing

@testable import Gateway

private let left = IPAddress(ipv4: 0xC000_0201)
private let right = IPAddress(ipv4: 0xC000_0202)
private let stranger = IPAddress(ipv4: 0xC633_6401)

private func state(
    _ source: IPAddress, _ destination: IPAddress, requestID: UInt32 = 1, spi: SPI = 0x1000
) throws -> SAParameters {
    let transform = try ESPTransform(parsing: "aes128gcm16")
    return SAParameters(
        spi: spi, source: source, destination: destination, transform: transform,
        key: SecretBytes(copying: [UInt8](repeating: 7, count: transform.keyMaterialLength)), requestID: requestID)
}

private func policy(
    _ direction: SecurityPolicy.Direction, _ protection: SecurityPolicy.Protection
) -> SecurityPolicy {
    SecurityPolicy(selector: .any(.ipv4), direction: direction, action: .protect(protection))
}

@Suite struct AssociationDirectionTests {
    private let out = policy(.out, .init(requestID: 1, source: left, destination: right))
    private let forward = policy(.forward, .init(requestID: 1, source: right, destination: left))

    private func find(
        _ state: SAParameters, _ policies: [SecurityPolicy], _ localAddresses: Set<IPAddress>
    ) -> AssociationDirection? {
        AssociationDirections(policies, localAddresses: localAddresses).direction(of: state)
    }

    @Test func policiesDecide() throws {
        let policies = [out, forward]
        #expect(find(try state(left, right), policies, []) == .outbound)
        #expect(find(try state(right, left), policies, []) == .inbound)
        // Even against the addresses: one may not be there yet.
        #expect(
            find(try state(left, right), policies, [right]) == .outbound)
    }

    @Test func addressesDecideWherePoliciesLeaveItOpen() throws {
        let open = [policy(.out, .init(requestID: 0)), policy(.in, .init(requestID: 0))]
        for policies in [open, []] {
            #expect(
                find(try state(right, left), policies, [left]) == .inbound)
            #expect(
                find(try state(left, right), policies, [left]) == .outbound
            )
            #expect(find(try state(stranger, right), [], [left]) == nil)
        }
    }

    @Test func anotherRequestIsNotOurs() throws {
        let other = try state(left, right, requestID: 9)
        #expect(find(other, [out, forward], []) == nil)
    }
}

@Suite struct OwnerAssignmentTests {
    @Test func bothDirectionsMeetOnOneWorker() throws {
        var owners = OwnerAssignment(workers: 3)
        #expect(owners.next(for: try state(left, right), .outbound) == 0)
        #expect(owners.next(for: try state(left, right, requestID: 2), .outbound) == 1)
        #expect(owners.next(for: try state(right, left), .inbound) == 0)
        #expect(owners.next(for: try state(right, left, requestID: 2), .inbound) == 1)
    }

    @Test func furtherOnesOfATunnelGoToTheNext() throws {
        var owners = OwnerAssignment(workers: 2)
        let given = try (0..<4).map { _ in owners.next(for: try state(left, right), .outbound) }
        #expect(given == [0, 1, 0, 1])
    }

    @Test func spreadsTunnelsEvenly() throws {
        var owners = OwnerAssignment(workers: 4)
        var count = [Int](repeating: 0, count: 4)
        for request in 0..<400 {
            count[owners.next(for: try state(left, right, requestID: UInt32(request)), .inbound)] += 1
        }
        #expect(count == [100, 100, 100, 100])
    }
}

@Suite struct AssociationWatchTests {
    /// Lines that a watch logs.
    private final class Lines: @unchecked Sendable {
        var texts: [String] = []
    }

    private struct Recorder: LogHandler {
        let lines: Lines
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace
        subscript(metadataKey key: String) -> Logger.MetadataValue? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }
        func log(event: LogEvent) { lines.texts.append("\(event.level) \(event.message)") }
    }

    @Test func tellsEachEventOnce() throws {
        let lines = Lines()
        let logger = Logger(label: "test") { _ in Recorder(lines: lines) }
        var watch = AssociationWatch()
        let association = try OutboundSA(try state(left, right), engine: OpenSSLEngine(), now: 1)
        func look(_ events: SAEvents) -> Bool {
            watch.look(
                ObjectIdentifier(association), association.parameters, .outbound, events: events,
                status: { association.status(now: 1) }, logger: logger)
        }
        #expect(!look([]))
        #expect(!look(.firstUse))
        #expect(!look(.firstUse))
        #expect(!look([.firstUse, .softBytes, .hardBytes]))
        #expect(!look([.firstUse, .softBytes, .hardBytes, .sequenceExhausted]))
        #expect(look([.firstUse, .softBytes, .hardBytes, .sequenceExhausted, .softTime, .hardTime]))
        #expect(lines.texts.count == 4)
        #expect(lines.texts[0].hasPrefix("info SA carried its first packet"))
        #expect(lines.texts[1].hasPrefix("error SA reached its hard limit of bytes"))
        #expect(lines.texts[2].hasPrefix("error SA used its last sequence number"))
        #expect(lines.texts[3].hasPrefix("error SA reached its hard limit of time"))
    }

    /// No packet comes, and yet the time is up.
    @Test func noticesTimeWithoutPackets() throws {
        let lines = Lines()
        let logger = Logger(label: "test") { _ in Recorder(lines: lines) }
        var watch = AssociationWatch()
        var parameters = try state(right, left)
        parameters.lifetime = Lifetime(softSecondsAfterAdd: 10, hardSecondsAfterAdd: 20)
        let association = try InboundSA(parameters, engine: OpenSSLEngine(), now: 1)
        func isOver(after seconds: UInt64) -> Bool {
            watch.look(
                ObjectIdentifier(association), parameters, .inbound, events: association.events,
                status: { association.status(now: 1 + seconds * 1_000_000_000) }, logger: logger)
        }
        #expect(!isOver(after: 9))
        #expect(lines.texts.isEmpty)
        #expect(!isOver(after: 10))
        #expect(lines.texts.count == 1)
        #expect(isOver(after: 20))
        #expect(lines.texts.count == 2)
    }
}

@Suite struct SuspendedSATests {
    private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    @Test func sourceComesAndGoes() throws {
        let builder = SnapshotBuilder(workers: 1)
        var parameters = try state(left, right)
        parameters.isManual = true
        let ours = try OutboundSA(parameters, engine: OpenSSLEngine(), pathMTU: 1500, now: 0)
        try builder.addOutbound(ours)
        var suspended = SuspendedSAs()
        func serving() -> [OutboundSA] { builder.build().outboundAssociations }
        suspended.follow([left], serving: serving(), in: builder, logger)
        #expect(suspended.all.isEmpty && serving().count == 1)
        for _ in 0..<2 {
            suspended.follow([right], serving: serving(), in: builder, logger)
            #expect(suspended.all.count == 1 && serving().isEmpty)
        }
        suspended.follow([left], serving: serving(), in: builder, logger)
        #expect(suspended.all.isEmpty && serving().map(\.parameters.spi) == [0x1000])
        suspended.follow([], serving: serving(), in: builder, logger)
        // One whose time is up does not come back.
        #expect(suspended.remove(ours) && !suspended.remove(ours))
        suspended.follow([left], serving: serving(), in: builder, logger)
        #expect(serving().isEmpty)
    }

    /// CHILD_SAs are IKE's, which looks after them itself.
    @Test func childrenAreLeft() throws {
        let builder = SnapshotBuilder(workers: 1)
        let child = try OutboundSA(try state(left, right), engine: OpenSSLEngine(), pathMTU: 1500, now: 0)
        try builder.addOutbound(child)
        var suspended = SuspendedSAs()
        suspended.follow([], serving: [child], in: builder, logger)
        #expect(suspended.all.isEmpty && builder.build().outboundAssociations.count == 1)
    }
}
