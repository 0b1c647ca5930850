import NIOCore

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
