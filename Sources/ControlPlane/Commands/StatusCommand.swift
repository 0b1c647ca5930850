import NIOCore
import NIOPosix
import Packets

/// `sluice-status`: the status document, rendered as the request's `format` says: `json` (default) or `text`.
///
/// A value holds 64 KiB at most and a gateway with many SAs needs more, so the document is streamed, as strongSwan streams
/// lists: `sluice-status` events each carry a piece under the format's name, and the response ends the stream.
public struct StatusCommand: VICICommand {
    public static let command = "sluice-status"
    public static let event = "sluice-status"

    /// The form of the document.
    public enum Format: String, Sendable, CaseIterable {
        case json
        case text
    }

    public let name = StatusCommand.command
    public let events = [StatusCommand.event]
    /// Writes a document out. Called on a thread of its own: a document of thousands of SAs takes a while.
    public typealias Rendering = @Sendable (Format) throws -> [UInt8]
    private let collect: @Sendable () -> Rendering

    /// `collect` is called on the control event loop and gathers the figures.
    public init(collect: @escaping @Sendable () -> Rendering) {
        self.collect = collect
    }

    public func respond(to request: VICIMessage, session: VICISession) -> EventLoopFuture<VICIMessage> {
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
    public func status(_ format: StatusCommand.Format) throws(VICIClientError) -> [UInt8] {
        try register(StatusCommand.event)
        var document: [UInt8] = []
        _ = try request(StatusCommand.command, ["format": format.rawValue]) { event, message in
            if event == StatusCommand.event { document += message.bytes(format.rawValue) ?? [] }
        }
        return document
    }
}
