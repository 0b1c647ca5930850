import Packets
import Synchronization
import Telemetry

/// The visible part of an SA; never a key.
public struct SAStatus: Sendable {
    public enum Direction: String, Sendable, Hashable {
        case inbound
        case outbound
    }

    /// The replay window of an inbound SA.
    public struct Window: Sendable, Hashable {
        /// Packets; 0 is off.
        public let size: Int
        /// The highest sequence number that was authenticated.
        public let top: UInt64
        /// Sequence numbers in the window, without those before the first packet.
        public let span: Int
        /// The number of them that arrived.
        public let received: Int

        /// The number of them that did not arrive (yet).
        public var missing: Int { span - received }
    }

    /// The number of packets that were dropped for one reason.
    public struct Drop: Sendable, Hashable {
        public let reason: DropReason
        public let packets: UInt64

        public init(reason: DropReason, packets: UInt64) {
            self.reason = reason
            self.packets = packets
        }
    }

    public let direction: Direction
    /// Host order.
    public let spi: SPI
    public let source: IPAddress
    public let destination: IPAddress
    public let mode: SAMode
    /// The algorithms in strongSwan's notation.
    public let transform: String
    public let requestID: UInt32
    public let owner: Int
    /// The connection and the name of a CHILD_SA; empty for manual keys.
    public let name: String
    public let extendedSequenceNumbers: Bool
    public let encapsulation: UDPEncapsulation?
    public let selectors: [TrafficSelector]
    /// Packets carried.
    public let packets: UInt64
    /// Bytes of the inner packets carried.
    public let bytes: UInt64
    /// Outbound: the last number used. Inbound: the highest one authenticated.
    public let sequence: UInt64
    /// The replay window; nil for outbound SAs.
    public let window: Window?
    /// Packets with ECN fields that no sender makes (RFC 6040 section 4.2).
    public let ecnAnomalies: UInt64
    /// Reasons that occurred.
    public let drops: [Drop]
    public let events: SAEvents
    public let lifetime: Lifetime
    /// Nanoseconds since the SA was made.
    public let age: UInt64
    /// Nanoseconds since the last packet; nil before the first.
    public let idle: UInt64?
    /// Nanoseconds since the first packet; nil before it.
    public let inUse: UInt64?
    /// The largest inner packet in bytes; nil for inbound SAs.
    public let mtu: Int?
    /// The largest outer packet in bytes; nil for inbound SAs.
    public let pathMTU: Int?

    /// The values of a record at one moment.
    struct Readings {
        var packets, bytes, sequence, firstUsed, lastUsed: UInt64
        var events: SAEvents
        var window: Window?
        var ecnAnomalies: UInt64 = 0
        var mtu, pathMTU: Int?
    }

    init(
        _ direction: Direction, _ parameters: SAParameters, _ readings: Readings, drops: DropCounters, added: UInt64,
        now: UInt64
    ) {
        self.direction = direction
        spi = parameters.spi
        source = parameters.source
        destination = parameters.destination
        mode = parameters.mode
        transform = parameters.transform.name
        requestID = parameters.requestID
        owner = parameters.owner
        name = parameters.name
        extendedSequenceNumbers = parameters.extendedSequenceNumbers
        encapsulation = parameters.encapsulation
        selectors = parameters.selectors
        lifetime = parameters.lifetime
        packets = readings.packets
        bytes = readings.bytes
        sequence = readings.sequence
        window = readings.window
        ecnAnomalies = readings.ecnAnomalies
        mtu = readings.mtu
        pathMTU = readings.pathMTU
        events = readings.events
        self.drops = drops.nonZero().map { Drop(reason: $0.reason, packets: $0.packets) }
        // A worker's clock may be a little ahead of the caller's.
        func elapsed(since start: UInt64) -> UInt64 { now > start ? now - start : 0 }
        age = elapsed(since: added)
        idle = readings.firstUsed == 0 ? nil : elapsed(since: readings.lastUsed)
        inUse = readings.firstUsed == 0 ? nil : elapsed(since: readings.firstUsed)
    }
}

extension OutboundSA {
    /// The SA's counters from any thread, at any time. `now` is nanoseconds of the dataplane's clock.
    public func status(now: UInt64) -> SAStatus {
        let usage = self.usage
        let readings = SAStatus.Readings(
            packets: usage.packets, bytes: usage.bytes, sequence: usage.sequence,
            firstUsed: runtime.pointee.firstUsed.load(ordering: .relaxed),
            lastUsed: runtime.pointee.lastUsed.load(ordering: .relaxed), events: events,
            mtu: Int(runtime.pointee.mtu), pathMTU: Int(runtime.pointee.pathMTU))
        return SAStatus(.outbound, parameters, readings, drops: drops, added: added, now: now)
    }
}

extension InboundSA {
    /// The SA's counters from any thread, at any time. `now` is nanoseconds of the dataplane's clock.
    public func status(now: UInt64) -> SAStatus {
        let window = runtime.pointee.window.summary()
        let readings = SAStatus.Readings(
            packets: runtime.pointee.packets.load(ordering: .relaxed),
            bytes: runtime.pointee.bytes.load(ordering: .relaxed), sequence: window.top,
            firstUsed: runtime.pointee.firstUsed.load(ordering: .relaxed),
            lastUsed: runtime.pointee.lastUsed.load(ordering: .relaxed), events: events, window: window,
            ecnAnomalies: runtime.pointee.ecnAnomalies.load(ordering: .relaxed))
        return SAStatus(.inbound, parameters, readings, drops: drops, added: added, now: now)
    }
}

extension ReplayWindow {
    /// The part of the window that arrived. The window may slide meanwhile, so from another thread it is approximate.
    func summary() -> SAStatus.Window {
        let top = top.load(ordering: .relaxed)
        let span = min(UInt64(size), top)
        var received = 0
        for back in 0..<span where words[wordIndex(top - back)].load(ordering: .relaxed) & bit(top - back) != 0 {
            received += 1
        }
        return SAStatus.Window(size: Int(size), top: top, span: Int(span), received: received)
    }
}

/// The use of an SA: the few figures that are asked for often.
public struct SAUsage: Hashable, Sendable {
    public let packets: UInt64
    /// Bytes of inner packets.
    public let bytes: UInt64
    /// The last sequence number sent, or the highest one received.
    public let sequence: UInt64
    /// Nanoseconds of the dataplane's clock; nil before the first packet.
    public let lastUsed: UInt64?

    init(packets: UInt64, bytes: UInt64, sequence: UInt64, lastUsed: UInt64) {
        self.packets = packets
        self.bytes = bytes
        self.sequence = sequence
        self.lastUsed = packets == 0 ? nil : lastUsed
    }
}

extension OutboundSA {
    /// The SA's use, from any thread, at any time.
    public var usage: SAUsage {
        let sequence = runtime.pointee.sequence.load(ordering: .relaxed)
        // Each packet has one number; the cipher may have failed afterwards.
        let numbered = sequence &- runtime.pointee.initialSequence
        let failed = drops[.cryptoError]
        return SAUsage(
            packets: numbered > failed ? numbered &- failed : 0, bytes: runtime.pointee.bytes.load(ordering: .relaxed),
            sequence: sequence, lastUsed: runtime.pointee.lastUsed.load(ordering: .relaxed))
    }
}

extension InboundSA {
    /// The SA's use, from any thread, at any time.
    public var usage: SAUsage {
        SAUsage(
            packets: runtime.pointee.packets.load(ordering: .relaxed),
            bytes: runtime.pointee.bytes.load(ordering: .relaxed),
            sequence: runtime.pointee.window.top.load(ordering: .relaxed),
            lastUsed: runtime.pointee.lastUsed.load(ordering: .relaxed))
    }
}
