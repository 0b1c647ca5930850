import IKEv2
import NIOCore
import Packets

/// Events that are no part of an answer: they go to every client that registered for them, whatever it is doing.
///
/// A client that reads too slowly misses events, and is told how many (`VICIConnection.offer`); nothing waits for it.
/// To be used on the event loop only.
package struct EventHub: Sendable {
    private let clients: NIOLoopBoundBox<[ObjectIdentifier: VICIConnection]>

    package init(on eventLoop: any EventLoop) {
        clients = .makeBoxSendingValue([:], eventLoop: eventLoop)
    }

    /// Whether a client wants to have this event, so that it is worth making.
    package func isWanted(_ event: String) -> Bool {
        clients.value.values.contains { $0.wants(event) }
    }

    package func broadcast(_ event: String, _ message: @autoclosure () -> VICIMessage) {
        let receivers = clients.value.values.filter { $0.wants(event) }
        guard !receivers.isEmpty else { return }
        // One that is too long is not sent: nobody could read it.
        guard let bytes = try? VICIPacket.event(event, message()).encoded() else { return }
        let buffer = ByteBuffer(bytes: bytes)
        for client in receivers { client.offer(buffer) }
    }

    func add(_ client: VICIConnection) {
        clients.value[ObjectIdentifier(client)] = client
    }

    func remove(_ client: VICIConnection) {
        clients.value[ObjectIdentifier(client)] = nil
    }
}

/// The events about SAs: `ike-updown`, `ike-rekey`, `ike-update`, `child-updown`, `child-rekey`, in strongSwan's shapes.
enum SessionEvents {
    /// `alert` is for clients that register for all that they know of; none is raised.
    static let names = ["ike-updown", "ike-rekey", "ike-update", "child-updown", "child-rekey", "alert"]

    /// The event that tells of it, and its message; nil: there is none for this. `now` is the manager's clock.
    static func message(_ event: ManagerEvent, now: Instant) -> (name: String, message: VICIMessage)? {
        let ike = event.ike
        switch event.event {
        case .closed(let reason):
            // One that never was up does not go down; a rekeyed one has told so already.
            guard ike.establishedAt != nil, reason != .rekeyed else { return nil }
            return ("ike-updown", SAListing.named(ike, now: now, children: nil))
        case .session(.established):
            return ("ike-updown", up(SAListing.named(ike, now: now, children: nil)))
        case .session(.rekeyed(let new)):
            var both = VICIMessage()
            var old = ike
            if old.state == .rekeyed { old.state = .rekeying }
            both.append("old", section: SAListing.section(old, now: now))
            both.append("new", section: SAListing.section(new, now: now))
            var message = VICIMessage()
            message.append(ike.listedName, section: both)
            return ("ike-rekey", message)
        case .session(.childUp(let sa)):
            return ("child-updown", up(child(sa, of: ike, assuming: .installed, now: now)))
        case .session(.childDown(let sa, _)):
            return ("child-updown", child(sa, of: ike, assuming: .deleted, now: now))
        case .session(.childRekeyed(let old, let new)):
            var both = VICIMessage()
            both.append("old", section: SAListing.section(ike.status(of: old, assuming: .rekeyed), now: now))
            both.append("new", section: SAListing.section(ike.status(of: new, assuming: .installed), now: now))
            var children = VICIMessage()
            children.append(new.child.name, section: both)
            return ("child-rekey", SAListing.named(ike, now: now, children: children))
        case .session(.moved(let old, let new)):
            return ("ike-update", moved(ike, from: old, to: new, now: now))
        case .session, .note: return nil
        }
    }

    /// An event with the places of both ends from now on, and the IKE SA as it was.
    private static func moved(_ ike: IKESAStatus, from old: Path, to new: Path, now: Instant) -> VICIMessage {
        var before = ike
        before.path = old
        var message: VICIMessage = [
            "local-host": "\(new.local.address)", "local-port": "\(new.local.port)",
            "remote-host": "\(new.remote.address)", "remote-port": "\(new.remote.port)",
        ]
        message.append(ike.listedName, section: SAListing.section(before, now: now))
        return message
    }

    private static func up(_ message: VICIMessage) -> VICIMessage {
        VICIMessage([.init(name: "up", content: .value(Array("yes".utf8)))] + message.fields)
    }

    /// The IKE SA with this child only.
    private static func child(
        _ sa: ChildSA, of ike: IKESAStatus, assuming state: ChildSAStatus.State, now: Instant
    ) -> VICIMessage {
        var children = VICIMessage()
        children.append(
            "\(sa.child.name)-\(sa.id)", section: SAListing.section(ike.status(of: sa, assuming: state), now: now))
        return SAListing.named(ike, now: now, children: children)
    }
}

extension IKESAStatus {
    /// The status of a child; of one that is not listed any more, or not yet, what is known of it.
    fileprivate func status(of sa: ChildSA, assuming state: ChildSAStatus.State) -> ChildSAStatus {
        children.first { $0.sa.id == sa.id } ?? ChildSAStatus(sa: sa, state: state, usage: ChildUsage())
    }
}
