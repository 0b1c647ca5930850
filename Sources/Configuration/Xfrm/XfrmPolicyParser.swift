import IPsec
import Packets
import Policy

/// A policy with the place that it was written at, and what only the checks need.
struct ParsedPolicy {
    var policy: SecurityPolicy
    var location: SourceLocation
    /// The SPI that the template names; 0 for any.
    var templateSPI: SPI
}

/// Reads what stands behind `xfrm policy add` or `update`.
struct XfrmPolicyParser {
    private var cursor: WordCursor
    private let command: Word

    private var selector = XfrmSelector()
    private var direction: SecurityPolicy.Direction?
    private var hasDirection = false
    private var isBlocking = false
    private var priority: UInt32 = 0
    private var index: UInt32 = 0
    private var template: Template?
    /// The line has a `tmpl`, whether or not it can be read.
    private var hasTemplate = false
    /// A mark or an interface says which packets are meant.
    private var isChosenByRoute = false
    /// A side cannot be read.
    private var hasFailedSelector = false

    /// `TMPL`: the SAs that serve the policy.
    private struct Template {
        let word: Word
        var source: IPAddress?
        var destination: IPAddress?
        var spi: SPI = 0
        var requestID: UInt32 = 0
        var hasProtocol = false
        var hasTunnelMode = false
    }

    init(command: Word, cursor: WordCursor) {
        self.command = command
        self.cursor = cursor
    }

    /// The policy, and all problems; no policy if there are errors.
    mutating func parse() -> (policy: ParsedPolicy?, cursor: WordCursor) {
        do throws(Problem) {
            while let word = cursor.peek {
                if word == "src" || word == "dst" { hasFailedSelector = true }
                if try selector.read(&cursor) {
                    hasFailedSelector = false
                    continue
                }
                cursor.skip()
                if try read(word) { continue }
                if try readUnsupported(word) { continue }
                throw cursor.error(word, "not a word of 'xfrm policy add'", "see ip-xfrm(8) for the words")
            }
            let policy = finish()
            return (cursor.errors.isEmpty ? policy : nil, cursor)
        } catch {
            cursor.errors.append(error)
            return (nil, cursor)
        }
    }

    /// The policy in the place of one with errors, to be asked for after `parse`: packets that it would have protected, as far
    /// as its selector can be read, are dropped. A side that cannot be read stands for every address, unless nothing would be
    /// left open. nil: the policy protects nothing, or leaves it to a mark or an interface which packets it is for.
    mutating func standIn() -> ParsedPolicy? {
        readOn()
        guard hasTemplate || isBlocking else { return nil }
        let isForAll = selector.isForAll
        if isForAll, isChosenByRoute || hasFailedSelector { return nil }
        var ignored = cursor
        guard let selector = selector.selector(command, &ignored) else { return nil }
        return ParsedPolicy(
            policy: SecurityPolicy(
                selector: selector, direction: direction ?? .out, action: .discard, priority: priority, index: index),
            location: SourceLocation(file: cursor.file, line: command.line, column: command.column), templateSPI: 0)
    }

    /// Looks for the selector and the direction behind the word that ended the reading.
    private mutating func readOn() {
        if template != nil { hasTemplate = true }
        let errors = cursor.errors
        defer { cursor.errors = errors }
        while let word = cursor.peek {
            if word == "tmpl" {
                hasTemplate = true
                return
            }
            if word == "mark" || word == "if_id" { isChosenByRoute = true }
            let isSide = word == "src" || word == "dst"
            do throws(Problem) {
                if try selector.read(&cursor) { continue }
            } catch {
                if isSide { hasFailedSelector = true }
                continue
            }
            cursor.skip()
            if word == "dir", let value = cursor.peek {
                direction = direction ?? SecurityPolicy.Direction(rawValue: value.text)
                cursor.skip()
            }
        }
    }

    private mutating func read(_ word: Word) throws(Problem) -> Bool {
        if word == "dir" {
            let value = try cursor.value(of: word, "a direction")
            direction = SecurityPolicy.Direction(rawValue: value.text)
            hasDirection = true
            if direction == nil { cursor.report(value, "not a direction", "use in, out or fwd") }
        } else if word == "action" {
            let value = try cursor.value(of: word, "an action")
            isBlocking = value == "block"
            if !isBlocking, !(value == "allow") { cursor.report(value, "not an action", "use allow or block") }
        } else if word == "priority" {
            priority = try cursor.number(of: word, "priority")
        } else if word == "index" {
            index = try cursor.number(of: word, "index")
        } else if word == "ptype" {
            let value = try cursor.value(of: word, "a policy type")
            if !(value == "main") { cursor.report(value, "this policy type is not supported", "use 'ptype main'") }
        } else if word == "flag" {
            try readFlags(word)
        } else if word == "tmpl" {
            if template != nil {
                cursor.report(word, "a second template is not supported", "protect with ESP alone, in one template")
            }
            try readTemplate(word)
        } else {
            return false
        }
        return true
    }

    private mutating func readFlags(_ keyword: Word) throws(Problem) {
        let value = try cursor.value(of: keyword, "a flag")
        // Sockets with policies of their own do not exist in a gateway, so "localok" changes nothing.
        if value == "localok" { return }
        cursor.report(
            value, "this flag is not supported", "leave it out: ICMP errors are checked as all other packets are")
    }

    private mutating func readTemplate(_ word: Word) throws(Problem) {
        var template = Template(word: word)
        while let key = cursor.peek {
            if key == "src" {
                cursor.skip()
                template.source = try cursor.address(of: key)
            } else if key == "dst" {
                cursor.skip()
                template.destination = try cursor.address(of: key)
            } else if key == "proto" {
                cursor.skip()
                let value = try cursor.value(of: key, "a protocol")
                template.hasProtocol = true
                if !(value == "esp"), !(value == "50") {
                    cursor.report(value, "this protocol is not supported", "use 'proto esp'")
                }
            } else if key == "spi" {
                cursor.skip()
                template.spi = SPI(try cursor.number(of: key, "SPI"))
            } else if key == "reqid" {
                cursor.skip()
                template.requestID = try cursor.number(of: key, "request id")
            } else if key == "mode" {
                cursor.skip()
                template.hasTunnelMode = true
                try XfrmStateParser.readMode(key, &cursor)
            } else if key == "level" {
                cursor.skip()
                let value = try cursor.value(of: key, "a level")
                if !(value == "required") {
                    cursor.report(
                        value, "this level is not supported",
                        "use 'level required': protection is never optional, so that nothing leaves in the clear")
                }
            } else {
                break
            }
        }
        self.template = template
    }

    private mutating func readUnsupported(_ word: Word) throws(Problem) -> Bool {
        guard let remedy = Self.unsupported[word.text] else { return false }
        let value = try cursor.value(of: word, "a value")
        let isNumber = word == "mark" || word == "if_id"
        let isNeutral = isNumber && WordCursor.number(value.text, as: UInt32.self) == 0
        if isNumber, !isNeutral { isChosenByRoute = true }
        if word == "limit" { _ = try cursor.value(of: word, "a number") }
        if cursor.take("mask") != nil { _ = try cursor.value(of: word, "a mask") }
        if !isNeutral { cursor.report(word, "not supported", remedy) }
        return true
    }

    private static let unsupported = [
        "mark": "leave it out: all packets are looked up in one policy database",
        "if_id": "leave it out: xfrm interfaces are not supported, policies decide",
        "ctx": "leave it out: security contexts are not supported",
        "limit": "give limits to the states; a policy holds until it is removed",
        "offload": "leave it out: policies are looked up on the processor",
    ]

    private mutating func finish() -> ParsedPolicy? {
        if !hasDirection { cursor.report(command, "'dir' is missing", "add 'dir out', 'dir in' or 'dir fwd'") }
        let selector = selector.selector(command, &cursor)
        let action = action()
        guard let direction, let selector, let action else { return nil }
        return ParsedPolicy(
            policy: SecurityPolicy(
                selector: selector, direction: direction, action: action, priority: priority, index: index),
            location: SourceLocation(file: cursor.file, line: command.line, column: command.column),
            templateSPI: template?.spi ?? 0)
    }

    private mutating func action() -> SecurityPolicy.Action? {
        if isBlocking { return .discard }
        guard let template else { return .bypass }
        if !template.hasProtocol { cursor.report(template.word, "'proto' is missing", "add 'proto esp'") }
        if !template.hasTunnelMode {
            cursor.report(
                template.word, "'mode' is missing",
                "add 'mode tunnel': Linux takes a template without it as transport mode")
        }
        if let source = template.source, let destination = template.destination, source.family != destination.family {
            cursor.report(
                template.word, "the outer addresses \(source) and \(destination) are of different families",
                "give two IPv4 or two IPv6 addresses")
        }
        return .protect(
            .init(
                requestID: template.requestID, source: Self.specific(template.source),
                destination: Self.specific(template.destination)))
    }

    /// The unspecified address stands for any.
    private static func specific(_ address: IPAddress?) -> IPAddress? {
        guard let address, address.high != 0 || address.low != 0 else { return nil }
        return address
    }
}
