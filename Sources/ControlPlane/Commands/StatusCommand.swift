import NIOCore
import NIOPosix
import Packets

/// `sluice-status`: the status document, rendered as the request's `format` says: `json` (default) or `text`.
///
/// A value holds 64 KiB at most and a gateway with many SAs needs more, so the document is streamed, as strongSwan streams
/// lists: `sluice-status` events each carry a piece under the format's name, and the response ends the stream.
package struct StatusCommand: VICICommand {
    package static let command = "sluice-status"
    package static let event = "sluice-status"

    /// The form of the document.
    package enum Format: String, Sendable, CaseIterable {
        case json
        case text
    }

    package let name = StatusCommand.command
    package let events = [StatusCommand.event]
    /// Writes a document out. Called on a thread of its own: a document of thousands of SAs takes a while.
    package typealias Rendering = @Sendable (Format) throws -> [UInt8]
    private let collect: @Sendable () -> Rendering

    /// `collect` is called on the control event loop and gathers the figures.
    package init(collect: @escaping @Sendable () -> Rendering) {
        self.collect = collect
    }

    package func respond(to request: VICIMessage, session: VICISession) -> EventLoopFuture<VICIMessage> {
        let wanted = request["format"] ?? Format.json.rawValue
        guard let format = Format(rawValue: wanted) else {
            return session.eventLoop.makeFailedFuture(Problem("unknown format '\(wanted)'", remedy: "use json or text"))
        }
        let rendering = collect()
        return NIOThreadPool.singleton.runIfActive(eventLoop: session.eventLoop) { try rendering(format) }.map {
            document in
            for start in stride(from: 0, to: document.count, by: VICILimits.maximumValueBytes) {
                let end = min(start + VICILimits.maximumValueBytes, document.count)
                var piece = VICIMessage()
                piece.append(format.rawValue, bytes: Array(document[start..<end]))
                session.emit(Self.event, piece)
            }
            return ["success": "yes"]
        }
    }
}

extension VICIClient {
    /// The whole status document of a running gateway.
    package func status(_ format: StatusCommand.Format) throws(VICIClientError) -> [UInt8] {
        try register(StatusCommand.event)
        var document: [UInt8] = []
        _ = try request(StatusCommand.command, ["format": format.rawValue]) { event, message in
            if event == StatusCommand.event { document += message.bytes(format.rawValue) ?? [] }
        }
        return document
    }
}
