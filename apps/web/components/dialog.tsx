import { Group, Modal } from '@mantine/core'
import type { ReactNode } from 'react'

interface DialogProps {
  opened: boolean
  onClose: () => void
  title: ReactNode
  children: ReactNode
}

/** A dialog whose heading is not a second page header, as that of `Modal` would be. */
export function Dialog({ opened, onClose, title, children }: DialogProps) {
  return (
    <Modal.Root opened={opened} onClose={onClose} centered>
      <Modal.Overlay />
      <Modal.Content>
        <Group justify="space-between" wrap="nowrap" p="md" pb={0}>
          <Modal.Title style={{ overflowWrap: 'anywhere' }}>{title}</Modal.Title>
          <Modal.CloseButton aria-label="Close" />
        </Group>
        <Modal.Body pt="md">{children}</Modal.Body>
      </Modal.Content>
    </Modal.Root>
  )
}
