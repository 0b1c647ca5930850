import IKEv2
import Packets
import Platform

/// `--ike-keylog FILE`: the keys of all SAs, as Wireshark takes them. Off unless asked for: who has them can read all
/// that the tunnels carry.
///
/// FILE gets the lines of Wireshark's `ikev2_decryption_table`, FILE.esp those of `esp_sa`; both are of the owner alone.
final class KeyLogFile {
    private let ike: Descriptor
    private let esp: Descriptor

    init(path: String) throws(Problem) {
        let ike = try Self.open(path)
        esp = try Self.open(path + ".esp")
        self.ike = ike
    }

    func write(_ line: KeyLogLine) {
        switch line {
        case .ike(let text): Self.write(text, to: ike)
        case .esp(let text): Self.write(text, to: esp)
        }
    }

    /// Lines are added to what is there. A link in the way is not followed: it could lead anywhere.
    private static func open(_ path: String) throws(Problem) -> Descriptor {
        let file: Descriptor
        do { file = try Files.openToAppend(path) } catch {
            throw Problem(
                "key log \(path): \(error)",
                remedy: "give --ike-keylog a file in a directory of yours, or leave it out")
        }
        // An older file may be open to others.
        do { try Files.setMode(of: file, 0o600) } catch {
            throw Problem(
                "key log \(path): cannot be kept from others: \(error)",
                remedy: "give --ike-keylog a file of your own")
        }
        return file
    }

    /// One write a line. A log that cannot be written is given up: traffic matters more.
    private static func write(_ text: String, to file: borrowing Descriptor) {
        let bytes = Array((text + "\n").utf8)
        bytes.withUnsafeBytes { _ = try? file.write($0) }
    }
}
