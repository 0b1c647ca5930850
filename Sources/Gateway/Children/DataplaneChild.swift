import IKEv2
import IPsec
import Packets

/// One CHILD_SA as far as it is in the dataplane. Kept by its inbound SPI.
struct DataplaneChild {
    let lane: ChildOwners.Lane
    let owner: Int
    var inbound: InboundSA?
    var outbound: OutboundSA?
    var inboundClaims: [PolicyBook.Claim] = []
    var outboundClaims: [PolicyBook.Claim] = []
    /// The host has lost the address that the outbound SA sends from: workers do not have it.
    var isSuspended = false

    /// "connection/child".
    var name: String { "\(lane.connection)/\(lane.child)" }

    var isEmpty: Bool { inbound == nil && outbound == nil }

    /// The packets of both directions so far.
    var usage: ChildUsage {
        var usage = ChildUsage()
        if let inbound = inbound?.usage {
            usage.inboundBytes = inbound.bytes
            usage.inboundPackets = inbound.packets
            usage.lastInbound = inbound.lastUsed.map(Instant.init(nanoseconds:))
        }
        if let outbound = outbound?.usage {
            usage.outboundBytes = outbound.bytes
            usage.outboundPackets = outbound.packets
            usage.lastOutbound = outbound.lastUsed.map(Instant.init(nanoseconds:))
        }
        return usage
    }

    /// The events of both directions.
    var events: SAEvents { (inbound?.events ?? []).union(outbound?.events ?? []) }

    /// The limit that nobody configured: the peer's sequence numbers run out, and it does not do anything about it.
    var isNearLastSequence: Bool {
        guard let inbound, !inbound.parameters.extendedSequenceNumbers else { return false }
        return inbound.usage.sequence >= ChildParameters.lastComfortableSequence
    }
}

/// The worker that an SA belongs to. SAs that replace each other share a lane, and a lane stays with its worker, so
/// that a rekey moves no traffic between cores; the lanes of one tunnel, and then those of all, are spread over the
/// workers (RFC 9611).
struct ChildOwners {
    /// A child of a configuration with one set of selectors. Several lanes with one request id are parallel SAs.
    struct Lane: Hashable {
        var requestID: UInt32
        var connection: String
        var child: String
        var selectors: [TrafficSelector]
    }

    private struct Place {
        var owner: Int
        /// SAs of the lane.
        var count: Int
    }

    private var places: [Lane: Place] = [:]
    /// Lanes of each request id on each worker, and all lanes on each worker.
    private var ofRequest: [UInt32: [Int]] = [:]
    private var total: [Int]

    init(workers: Int) { total = Array(repeating: 0, count: workers) }

    /// The worker for one more SA of the lane.
    mutating func add(_ lane: Lane) -> Int {
        if let place = places[lane] {
            places[lane]?.count += 1
            return place.owner
        }
        var mine = ofRequest[lane.requestID] ?? Array(repeating: 0, count: total.count)
        let owner = total.indices.min { (mine[$0], total[$0], $0) < (mine[$1], total[$1], $1) } ?? 0
        mine[owner] += 1
        total[owner] += 1
        ofRequest[lane.requestID] = mine
        places[lane] = Place(owner: owner, count: 1)
        return owner
    }

    /// The number of SAs of the lane.
    func count(_ lane: Lane) -> Int { places[lane]?.count ?? 0 }

    /// An SA of the lane is gone.
    mutating func remove(_ lane: Lane) {
        guard let place = places[lane] else { return }
        guard place.count == 1 else {
            places[lane]?.count -= 1
            return
        }
        places[lane] = nil
        total[place.owner] -= 1
        ofRequest[lane.requestID]?[place.owner] -= 1
        if ofRequest[lane.requestID]?.allSatisfy({ $0 == 0 }) == true { ofRequest[lane.requestID] = nil }
    }

    /// Whether anything is left.
    var isEmpty: Bool { places.isEmpty && ofRequest.isEmpty && total.allSatisfy { $0 == 0 } }
}
