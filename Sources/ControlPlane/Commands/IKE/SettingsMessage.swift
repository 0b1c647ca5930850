import Configuration

extension VICIMessage {
    /// The sections of the message, in order.
    var sections: [(name: String, message: VICIMessage)] {
        fields.compactMap { field in
            if case .section(let section) = field.content { (field.name, section) } else { nil }
        }
    }
}

extension SettingsSection {
    /// What a client sent, in the shape of a section of swanctl.conf.
    ///
    /// A key that comes twice counts as the later one, sections of one name are merged, as in a file. Values of several
    /// lines and values that are no text are certificates or keys, which are items of a list.
    init(name: String, _ message: VICIMessage) {
        self.init(name: name)
        var valueIndices: [String: Int] = [:]
        var sectionFields: [(name: String, message: VICIMessage)] = []
        var sectionIndices: [String: Int] = [:]
        for field in message.fields {
            if case .section(let section) = field.content {
                if let index = sectionIndices[field.name] {
                    sectionFields[index].message.fields += section.fields
                } else {
                    sectionIndices[field.name] = sectionFields.count
                    sectionFields.append((field.name, section))
                }
                continue
            }
            guard let content = Value.Content(field) else { continue }
            let value = Value(key: field.name, content: content)
            if let index = valueIndices[field.name] {
                values[index] = value
            } else {
                valueIndices[field.name] = values.count
                values.append(value)
            }
        }
        sections = sectionFields.map { SettingsSection(name: $0.name, $0.message) }
    }
}

extension SettingsSection.Value.Content {
    /// nil for a section.
    fileprivate init?(_ field: VICIMessage.Field) {
        switch field.content {
        case .value(let bytes):
            let text = bytes.contains(UInt8(ascii: "\n")) ? nil : String(validating: bytes, as: UTF8.self)
            self = text.map { .text($0) } ?? .list([bytes])
        case .list(let items): self = .list(items)
        case .secret(let secret): self = .secret(secret)
        case .section: return nil
        }
    }
}
