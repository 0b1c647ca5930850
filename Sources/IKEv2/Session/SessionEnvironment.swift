import IPsec
import Packets

/// Surroundings that a session may ask while it handles an event. Tests have one with a clock and a generator that they move.
package protocol SessionEnvironment: AnyObject {
    /// The moment of the event.
    var now: Instant { get }
    /// Seconds since 1970, for certificates.
    var wallClock: Int64 { get }
    var settings: ProtocolSettings { get }
    var credentials: Credentials { get }

    /// Unpredictable bytes: nonces, IKE SPIs, jitter. Key material comes from `Cryptography` itself.
    func random(count: Int) -> [UInt8]
    /// A number for a session or a CHILD_SA that was never used before.
    func uniqueID() -> UInt32
    func allocateSPI() throws(InstallationError) -> SPI
    /// Whether the dataplane can hold what one more SA with these selectors needs.
    func hasRoom(for selectors: [TrafficSelector]) -> Bool
    /// The request id for a child of a connection: the configured one, the child's own, or, where the connection is for
    /// several peers, one that is for these selectors of this peer only.
    func requestID(connection: Connection, child: Child, selectors: [TrafficSelector], peer: Identity) -> UInt32
    /// Another peer that has a CHILD_SA of this connection for one of the networks behind the selectors.
    func holder(of selectors: [TrafficSelector], connection: Connection, besides peer: Identity) -> Identity?
    func usage(of sa: ChildSA) -> ChildUsage?
    /// The answer to a question of a session, if it is known at once; nil: it comes later, by `Session.answered`.
    func answer(_ question: Question) -> Answer?
    /// The virtual addresses that the two sides of a session have.
    func leasedAddresses(of session: Session) -> LeasedAddresses

    /// Whether we have no IKE SA between these identities, so that an INITIAL_CONTACT is true. `remote` may be a pattern.
    func isFirstContact(local: Identity, remote: Identity) -> Bool
    /// Whether a new session of this connection has to be refused (`unique = keep`).
    func refusesDuplicate(_ connection: Connection, local: Identity, remote: Identity) -> Bool
    /// A fragmented message was longer than `maximumFragmentedMessageInBytes`, or cut into too many pieces.
    func fragmentedMessageRefused()
    /// A line for `--ike-keylog`; nothing happens when that is off.
    func logKeys(_ line: @autoclosure () -> KeyLogLine)
}

extension SessionEnvironment {
    package func answer(_ question: Question) -> Answer? { question.answer() }

    /// For an IKE SA; never 0.
    func randomSPI() -> UInt64 { max(1, random(count: 8).reduce(0) { $0 << 8 | UInt64($1) }) }

    /// Whether somebody would miss a child.
    func isWanted(_ sa: ChildSA) -> Bool {
        if sa.child.startAction.starts || sa.child.closeAction.starts { return true }
        return usage(of: sa).map { $0.inboundPackets > 0 || $0.outboundPackets > 0 } ?? false
    }

    package func fragmentedMessageRefused() {}
    package func leasedAddresses(of session: Session) -> LeasedAddresses { LeasedAddresses() }
    package func hasRoom(for selectors: [TrafficSelector]) -> Bool { true }
    package func holder(of selectors: [TrafficSelector], connection: Connection, besides peer: Identity) -> Identity? {
        nil
    }
}

/// The keys of an SA in Wireshark's formats.
package enum KeyLogLine: Sendable {
    /// A line of `ikev2_decryption_table`.
    case ike(String)
    /// A line of `esp_sa`.
    case esp(String)
}
