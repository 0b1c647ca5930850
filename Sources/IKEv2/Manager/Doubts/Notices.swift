import IKEv2Messages
import Packets

// Unprotected messages that say that an SA is not known: INVALID_SPI (RFC 7296 section 1.5) and INVALID_IKE_SPI (section
// 2.21.4). Anybody can send them: they are a reason to ask the peer, if they come from its address, and no more.
extension SessionManager {
    /// A message for an IKE SA of ours.
    func takeHint(_ message: ReceivedMessage, path: Path, about record: SessionRecord) {
        guard record.isEstablished, let type = message.plainMessage?.errorNotify?.type,
            type == .invalidIKESPI || type == .invalidSPI,
            path.remote.address == record.session.path.remote.address
        else { return }
        if record.doubt != nil { return shortenDoubt(record) }
        doubt(record)
    }

    /// A message for no IKE SA: about an ESP SA that we send by.
    func takeNotice(_ datagram: [UInt8], path: Path) {
        guard table.hasEstablished(at: path.remote.address), notices.allow(now: now),
            let notify = (try? ReceivedMessage(decoding: datagram))?.plainMessage?.errorNotify,
            notify.type == .invalidSPI, notify.data.count == 4
        else { return }
        let spi = notify.data.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        let meant = children.values.first { child in
            child.sa.outboundSPI == spi && child.isOutbound && child.sa.path.remote.address == path.remote.address
        }
        if let record = meant.flatMap({ table[$0.sessionID] }) { doubt(record) }
    }
}
