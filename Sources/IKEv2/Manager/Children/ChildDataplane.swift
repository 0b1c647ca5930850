import IPsec
import Packets

/// The manager's view of SAD and SPD, in which CHILD_SAs come to life. All calls are made on the control thread and return
/// when what they ask for is done.
///
/// The order of a rekey (RFC 7296 section 2.8): `installInbound` of the new SA, then the message that lets the peer use
/// it, then `installOutbound`, which from now on carries what the old one did; `removeOutbound` of the old one;
/// `removeInbound` of it after the drain time.
package protocol ChildDataplane: AnyObject {
    /// Request ids that are not to be chosen for CHILD_SAs: policies that were configured by hand have them.
    var reservedRequestIDs: Set<UInt32> { get }

    /// A free inbound SPI over 255. It is taken from now on, until `removeInbound` or `releaseSPI`.
    func allocateSPI() throws(InstallationError) -> SPI
    /// Gives back an SPI that no SA was installed for.
    func releaseSPI(_ spi: SPI)

    /// Whether one more SA with these selectors could be installed. Asked before the peer is told that there will be one.
    func hasRoom(for selectors: [TrafficSelector]) -> Bool

    /// The inbound SA and its policies are live in every worker once `settle` has returned.
    func installInbound(_ sa: ChildSA) throws(InstallationError)
    /// Moves outbound traffic of the SA's request id and selectors to it.
    func installOutbound(_ sa: ChildSA) throws(InstallationError)
    func removeInbound(_ sa: ChildSA)
    func removeOutbound(_ sa: ChildSA)
    /// Outer addresses, ports or encapsulation have changed; keys, counters and sequence numbers stay.
    func move(_ sa: ChildSA, to path: Path, isEncapsulated: Bool)

    /// Sets what a loaded child covers, whether or not it has an SA: such packets leave through its SAs or not at all. Replaces
    /// what the child covered before.
    func cover(_ cover: ChildCover) throws(InstallationError)
    func uncover(connection: String, child: String)

    /// Makes everything so far live. To be called before a message is sent that lets the peer use it.
    func settle()

    /// Counters of an SA that is installed; nil when it is not.
    func usage(of sa: ChildSA) -> ChildUsage?
}

extension ChildDataplane {
    package var reservedRequestIDs: Set<UInt32> { [] }
    package func settle() {}
    package func hasRoom(for selectors: [TrafficSelector]) -> Bool { true }
}

/// The part of the SPD that a loaded child stands for (RFC 4301 section 4.4.1).
package struct ChildCover: Hashable, Sendable {
    package var connectionName: String
    package var child: Child
    /// The request id of the child's SAs, but for those that are for one peer of many (`RequestIDs`).
    package var requestID: UInt32
    /// The selectors as an outbound packet carries them.
    package var selectors: [TrafficSelector]
    /// Whether nothing is missing: false while a side is `dynamic` and its address is not known.
    package var isComplete: Bool
    /// The place of the connection in the configuration. Of children that cover the same, packets take the SAs of the
    /// lowest that has one.
    package var rank: UInt64
    /// Packets without an SA raise `acquire` events with the request id (`start_action = trap`).
    package var acquires: Bool

    package init(
        connectionName: String, child: Child, requestID: UInt32, selectors: [TrafficSelector], isComplete: Bool = true,
        rank: UInt64 = 1, acquires: Bool = false
    ) {
        self.connectionName = connectionName
        self.child = child
        self.requestID = requestID
        self.selectors = selectors
        self.isComplete = isComplete
        self.rank = rank
        self.acquires = acquires
    }
}

/// The traffic that an SA has carried so far. Bytes are those of the inner packets.
package struct ChildUsage: Hashable, Sendable {
    package var inboundBytes: UInt64 = 0
    package var inboundPackets: UInt64 = 0
    package var outboundBytes: UInt64 = 0
    package var outboundPackets: UInt64 = 0
    /// Of the manager's clock; nil: never.
    package var lastInbound: Instant?
    package var lastOutbound: Instant?

    package init() {}
}

/// Reason why an SA or policy could not be installed.
package struct InstallationError: OperatorError, Hashable, Sendable {
    package let problem: Problem

    package init(_ what: String, remedy: String = "") { problem = Problem(what, remedy: remedy) }
}

/// Events that the dataplane tells the manager (`SessionManager.handle`).
package enum DataplaneEvent: Hashable, Sendable {
    /// A packet wants an SA: what a child covers has none for it.
    case acquire(requestID: UInt32, packet: TrafficSelector?)
    /// A soft limit (bytes, packets, sequence numbers) is reached: rekey.
    case softLimit(inboundSPI: SPI)
    /// A hard limit is reached: the SA carries nothing any more.
    case hardLimit(inboundSPI: SPI)
    /// An authenticated packet came from elsewhere: the peer's NAT mapping has changed (RFC 7296 section 2.23).
    case mappingChanged(inboundSPI: SPI, remote: Endpoint)
    /// A peer whose address is known sends ESP by an SA that we do not have.
    case unknownSPI(SPI, from: IPAddress)
    /// An SA sends, and for half a second nothing has come back.
    case unanswered(inboundSPI: SPI)
}
