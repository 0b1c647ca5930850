import Cryptography
import Packets

/// Parses one file in the format of strongswan.conf(5) into a section.
///
/// 1. `name { … }` opens a section, also with the brace on a later line; `name : other, a.b { … }` inherits.
/// 2. `key = words "quoted text" …` ends with the line, with `#` or with `}`; parts are joined by one space.
/// 3. Quoted text may go over lines and knows \n \r \t \b \f, \ and a line end (nothing), \ and anything else (that).
/// 4. `include PATTERN …` reads files into the section that it stands in.
struct SettingsParser {
    let file: String
    private let loader: SettingsLoader
    private var scanner: SettingsScanner
    private let scratch: ScratchBytes
    /// The section that the file is read into, and those that it has opened.
    private var open: [(node: SettingsNode, location: SourceLocation, isBehindSecret: Bool)]
    private let isRoot: Bool
    private let outerDepth: Int
    /// The statement before held a secret: what follows may be a piece of it, and is never shown.
    private var isBehindSecret = false

    /// - Parameter depth: of `node`; 0 for the root.
    init(_ bytes: UnsafeRawBufferPointer, file: String, into node: SettingsNode, depth: Int, loader: SettingsLoader) {
        self.file = file
        self.loader = loader
        scanner = SettingsScanner(bytes)
        // No value is longer than its text.
        scratch = ScratchBytes(capacity: bytes.count)
        open = [(node, SourceLocation(file: file, line: 1), false)]
        isRoot = depth == 0
        outerDepth = depth
    }

    private var current: SettingsNode { open[open.count - 1].node }
    private var depth: Int { outerDepth + open.count - 1 }
    private var here: SourceLocation { SourceLocation(file: file, line: scanner.line, column: scanner.column) }

    mutating func parse() throws(Problem) {
        if let line = Self.lineOfNull(scanner.bytes) {
            throw Problem(
                .error, SourceLocation(file: file, line: line), word: nil, "this is not a text file",
                remedy: "write sections and 'key = value' lines; see swanctl.conf(5)")
        }
        scanner.skipByteOrderMark()
        while true {
            scanner.skipLines()
            guard let byte = scanner.peek else { break }
            if byte == UInt8(ascii: "}") {
                try closeSection()
            } else {
                try readStatement()
            }
        }
        guard open.count > 1 else { return }
        throw error(
            open[open.count - 1].location, current.name, "this section is never closed", "add the '}' that is missing")
    }

    private static func lineOfNull(_ bytes: UnsafeRawBufferPointer) -> Int? {
        guard let offset = bytes.firstIndex(of: 0) else { return nil }
        return 1 + bytes[..<offset].count { $0 == UInt8(ascii: "\n") }
    }

    private mutating func closeSection() throws(Problem) {
        guard open.count > 1 else {
            throw error(here, "}", "this closes no section", "remove it, or look for a '{' that is missing above")
        }
        scanner.advance()
        open.removeLast()
    }

    private mutating func readStatement() throws(Problem) {
        let location = here
        guard let name = scanner.name() else {
            if let length = ValueFaults.placeholder(scanner.restOfLine) {
                throw error(
                    location, text(scanner.restOfLine.prefix(length)),
                    "this looks like a template's placeholder", "write the value in its place")
            }
            let byte = scanner.peek ?? 0
            throw error(
                location, (0x21...0x7E).contains(byte) ? String(decoding: [byte], as: UTF8.self) : nil,
                "expected a name", "begin with a key or the name of a section; values follow '='")
        }
        // What no letter stands for was replaced by this.
        if name.unicodeScalars.contains("\u{FFFD}") { throw notUTF8(name, location) }
        if scanner.peek == UInt8(ascii: ".") { throw dotted(name, location) }
        scanner.skipBlanks()
        switch scanner.peek {
        case UInt8(ascii: "="): try readValue(name, location)
        case UInt8(ascii: "{"): try openSection(name, [], location)
        case UInt8(ascii: ":"): try openSection(name, try readReferences(name, location), location)
        case _ where name == "include": try readIncludes(location)
        case UInt8(ascii: "\n"), UInt8(ascii: "#"):
            scanner.skipLines()
            guard scanner.peek == UInt8(ascii: "{") else { throw incomplete(name, location) }
            try openSection(name, [], location)
        default: throw twoNames(name, location)
        }
    }

    private mutating func dotted(_ first: String, _ location: SourceLocation) -> Problem {
        var name = first
        while scanner.take(UInt8(ascii: ".")) { name += "." + (scanner.name() ?? "") }
        return error(
            location, name, "dots are not allowed in the name of a section or key",
            "write \(shown(name).map { "'\($0.replacing(".", with: "-"))'" } ?? "it with '-' in their place")")
    }

    /// `connections site {`, or a file of another format.
    private mutating func twoNames(_ first: String, _ location: SourceLocation) -> Problem {
        guard let second = scanner.name() else { return incomplete(first, location) }
        if isRoot, open.count == 1, ["config", "conn", "ca"].contains(first), !isBehindSecret {
            return error(
                location, "\(first) \(second)", "this is the format of ipsec.conf, not of swanctl.conf",
                "write 'connections { NAME { … } }' with the keys of swanctl.conf(5)")
        }
        scanner.skipBlanks()
        guard scanner.peek == UInt8(ascii: "{"),
            let (outer, inner) = shown(first).flatMap({ outer in shown(second).map { (outer, $0) } })
        else { return incomplete(first, location) }
        return error(
            location, "\(outer) \(inner)", "two names before '{'", "write '\(outer) { \(inner) { … } }'")
    }

    private func text(_ bytes: some Sequence<UInt8>) -> String { String(decoding: Array(bytes), as: UTF8.self) }

    private func incomplete(_ name: String, _ location: SourceLocation) -> Problem {
        error(
            location, name, "expected '=' or '{' after the name",
            "write '\(shown(name) ?? "key") = value' or open a section")
    }

    private mutating func openSection(
        _ name: String, _ references: [SettingsNode.Reference], _ location: SourceLocation
    ) throws(Problem) {
        scanner.advance()
        guard depth < SettingsLimits.maximumDepth else {
            throw error(
                location, name, "sections are nested more than \(SettingsLimits.maximumDepth) deep",
                "look for a '}' that is missing above")
        }
        try loader.count(location)
        let node = current.open(name, at: location, isRoot: isRoot && open.count == 1)
        for reference in references { node.refer(to: reference.path, at: reference.location) }
        open.append((node, location, isBehindSecret))
        isBehindSecret = false
    }

    /// `: a.b, c` up to the brace.
    private mutating func readReferences(
        _ name: String, _ location: SourceLocation
    ) throws(Problem) -> [SettingsNode.Reference] {
        var references: [SettingsNode.Reference] = []
        repeat {
            scanner.advance()
            scanner.skipLines()
            let start = here
            var path = ""
            while let part = scanner.name() {
                path += part
                guard scanner.take(UInt8(ascii: ".")) else { break }
                path += "."
            }
            guard !path.isEmpty, !path.hasSuffix(".") else {
                throw error(
                    start, nil, "the name of the section that '\(shown(name) ?? "it")' inherits from is missing",
                    "write '\(shown(name) ?? "name") : other { … }', with dots between nested names")
            }
            references.append(SettingsNode.Reference(path: path, location: start))
            scanner.skipLines()
        } while scanner.peek == UInt8(ascii: ",")
        guard scanner.peek == UInt8(ascii: "{") else {
            throw error(location, name, "no '{' follows", "open the section; for a value write '=' in place of ':'")
        }
        return references
    }

    // MARK: Values

    private mutating func readValue(_ key: String, _ location: SourceLocation) throws(Problem) {
        scanner.advance()
        try loader.count(location)
        let isSecret = SettingsSection.holdsSecret(key)
        isBehindSecret = isBehindSecret || isSecret
        scratch.clear()
        var fault: SettingsSection.Value.Fault?
        // For what stands without quotes; secrets never become text.
        var words: [String] = []
        scanner.skipBlanks()
        while let byte = scanner.peek, byte == UInt8(ascii: "\"") || SettingsScanner.isValue(byte) {
            if scratch.count > 0 { scratch.append(UInt8(ascii: " ")) }
            let start = scratch.count
            if byte == UInt8(ascii: "\"") {
                try readQuoted(key, location)
                if !isSecret { words.append("") }
            } else {
                if let found = try readWord(key) { fault = fault ?? found }
                if !isSecret { words.append(text(scratch.bytes[start...])) }
            }
            scanner.skipBlanks()
        }
        if fault == nil, ValueFaults.placeholder(scratch.bytes) == scratch.count { warnOfPlaceholder(key, location) }
        let content: SettingsSection.Value.Content
        if isSecret {
            content = .secret(SecretBytes(copying: scratch.bytes))
            loader.noteSecret(in: file)
        } else if let text = String(validating: scratch.bytes, as: UTF8.self) {
            content = .text(text)
        } else {
            throw notUTF8(key, location)
        }
        var value = SettingsSection.Value(key: key, content: content, location: location)
        value.fault = fault ?? ValueFaults.secondSetting(words)
        if shown(key) == nil { value.fault?.word = nil }
        set(value)
        isBehindSecret = isSecret
    }

    /// Reads one word that is not between quotes. Returns what is wrong with it.
    private mutating func readWord(_ key: String) throws(Problem) -> SettingsSection.Value.Fault? {
        let start = here
        let isSecret = SettingsSection.holdsSecret(key)
        var fault: SettingsSection.Value.Fault?
        while let byte = scanner.peek, SettingsScanner.isValue(byte) {
            if byte == UInt8(ascii: "{") || byte == UInt8(ascii: "$"),
                let length = ValueFaults.placeholder(scanner.restOfLine)
            {
                fault = ValueFaults.unfilled(shown(isSecret ? nil : text(scanner.restOfLine.prefix(length))))
                for _ in 0..<length { scanner.advance() }
                continue
            }
            if byte == UInt8(ascii: "{"), !isSecret {
                throw error(
                    start, key, "unexpected '{' in the value",
                    "begin a section on a line of its own, and write a value that has a '{' between quotes")
            }
            scratch.append(byte)
            scanner.advance()
        }
        if scanner.peek == UInt8(ascii: "#") || (isSecret && scanner.peek == UInt8(ascii: "}")) { warnOfCut(key) }
        return fault
    }

    private func notUTF8(_ word: String, _ location: SourceLocation) -> Problem {
        error(location, word, "a character is not in UTF-8", "save the file as UTF-8, as by: iconv -f latin1 -t utf-8")
    }

    /// A later file may set a key anew; within one file it is a section that was copied, or two that have one name.
    private mutating func set(_ value: SettingsSection.Value) {
        if let old = current.values.first(where: { $0.key == value.key }), let place = old.location,
            place.file == file, !old.content.isSame(as: value.content)
        {
            loader.warnings.append(
                Problem(
                    .warning, value.location ?? here, word: shown(value.key),
                    (shown(value.key) == nil ? "a key is set" : "is set")
                        + " in '\(sectionName)' a second time, and what line \(place.line) says is lost",
                    remedy: "keep one of the two, or give the two sections different names"))
        }
        current.set(value)
    }

    /// One between quotes, which is a value like any other, and even a secret that everybody can guess.
    private func warnOfPlaceholder(_ key: String, _ location: SourceLocation) {
        loader.warnings.append(
            Problem(
                .warning, location, word: shown(key),
                "the value looks like an unfilled placeholder",
                remedy: "write the value in its place"))
    }

    private func warnOfCut(_ key: String) {
        loader.warnings.append(
            Problem(
                .warning, here, word: shown(key) ?? (SettingsSection.holdsSecret(key) ? "secret" : nil),
                "the value ends before a '#' or '}' that touches it",
                remedy: "write the value between quotes if the character is part of it"))
    }

    /// - Parameter start: of the value: where a quote that is not closed opened is known to nobody.
    private mutating func readQuoted(_ key: String, _ start: SourceLocation) throws(Problem) {
        scanner.advance()
        while let byte = scanner.peek {
            scanner.advance()
            switch byte {
            case UInt8(ascii: "\""): return
            case UInt8(ascii: "\\"): readEscape()
            default: scratch.append(byte)
            }
        }
        throw error(
            start, key, "a quote in the value that begins here is never closed",
            "close it; write \\\" for a quote inside")
    }

    private mutating func readEscape() {
        // A line may end in CR LF.
        if scanner.peek == UInt8(ascii: "\r"), scanner.peekSecond == UInt8(ascii: "\n") { scanner.advance() }
        guard let byte = scanner.peek else { return }
        scanner.advance()
        switch byte {
        case UInt8(ascii: "n"): scratch.append(UInt8(ascii: "\n"))
        case UInt8(ascii: "r"): scratch.append(UInt8(ascii: "\r"))
        case UInt8(ascii: "t"): scratch.append(UInt8(ascii: "\t"))
        case UInt8(ascii: "b"): scratch.append(0x08)
        case UInt8(ascii: "f"): scratch.append(0x0C)
        case UInt8(ascii: "\n"): break
        default: scratch.append(byte)
        }
    }

    // MARK: Includes

    /// Patterns up to the end of the line, between quotes if they have blanks.
    private mutating func readIncludes(_ location: SourceLocation) throws(Problem) {
        var patterns: [String] = []
        while let byte = scanner.peek, byte == UInt8(ascii: "\"") || SettingsScanner.isValue(byte) {
            scratch.clear()
            if byte == UInt8(ascii: "\"") {
                try readQuoted("include", location)
            } else {
                while let more = scanner.peek, SettingsScanner.isValue(more) {
                    scratch.append(more)
                    scanner.advance()
                }
            }
            patterns.append(String(decoding: scratch.bytes, as: UTF8.self))
            scanner.skipBlanks()
        }
        guard !patterns.isEmpty else {
            throw error(location, "include", "no file name follows", "write 'include conf.d/*.conf', or leave it out")
        }
        for pattern in patterns {
            try loader.include(pattern, from: file, at: location, into: current, depth: depth)
        }
    }

    // MARK: Errors

    /// A word for a message, unless it may be a piece of a secret.
    private func shown(_ word: String?) -> String? { isBehindSecret || current.holdsSecrets ? nil : word }

    /// The section that is being read, for a message.
    private var sectionName: String {
        guard current.holdsSecrets else { return shown(current.name) ?? "secrets" }
        let name = current.name
        let isKind = SecretsTranslation.kinds.contains { name.lowercased().hasPrefix($0) }
        return isKind && !open[open.count - 1].isBehindSecret && name.utf8.allSatisfy(SettingsScanner.isPlain)
            ? name : "secrets"
    }

    private func error(
        _ location: SourceLocation, _ word: String?, _ reason: String, _ remedy: String
    ) -> Problem {
        Problem(.error, location, word: shown(word), reason, remedy: remedy)
    }
}
