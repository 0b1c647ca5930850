/// What stands before `xfrm` in scripts: `sudo ip`, `ip -6`, `ip -n NS`, `ip netns exec NS ip`.
struct CommandPrefix {
    /// The network namespace that is named; nil: none.
    private(set) var namespace: String?

    /// Options of `ip` that change nothing about states and policies.
    private static let options: Set<String> = [
        "-4", "-6", "-s", "-d", "-force", "-family", "-f", "-o", "-oneline", "-stats", "-statistics", "-details",
    ]

    /// Steps over it.
    init(_ cursor: inout WordCursor) {
        if cursor.take("sudo") != nil {
            while let word = cursor.peek, word.bytes.first == UInt8(ascii: "-") { cursor.skip() }
        }
        while cursor.take("ip") != nil || cursor.take("/sbin/ip") != nil || cursor.take("/usr/sbin/ip") != nil {
            readOptions(&cursor)
            guard cursor.take("netns") != nil else { break }
            _ = cursor.take("exec")
            namespace = cursor.peek?.text
            cursor.skip()
        }
    }

    private mutating func readOptions(_ cursor: inout WordCursor) {
        while let word = cursor.peek {
            if word == "-n" || word == "-netns" {
                cursor.skip()
                namespace = cursor.peek?.text
                cursor.skip()
            } else if Self.options.contains(word.text) {
                cursor.skip()
                if word == "-f" || word == "-family" { cursor.skip() }
            } else {
                break
            }
        }
    }
}
