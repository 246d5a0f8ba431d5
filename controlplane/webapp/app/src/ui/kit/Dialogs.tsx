// Dialogs over the page: focus goes in, stays in and comes back.

import { X } from 'lucide-react';
import type { CSSProperties, ReactNode } from 'react';
import { Dialog, Heading, Modal, ModalOverlay } from 'react-aria-components';
import { useTranslation } from 'react-i18next';
import { IconButton } from './Button';

interface Props {
  title: string;
  open: boolean;
  close: () => void;
  /** Asks a question that has to be answered. */
  alert?: boolean;
  /** In CSS pixels; narrower screens narrow it. */
  width?: number;
  children: ReactNode;
}

export function Sheet({ title, open, close, alert = false, width = 480, children }: Props) {
  const { t } = useTranslation();
  return (
    <ModalOverlay className="modal-overlay" isOpen={open} onOpenChange={(now) => !now && close()} isDismissable={!alert}>
      <Modal className="modal" style={{ '--modal-width': `${width}px` } as CSSProperties}>
        <Dialog className="dialog" role={alert ? 'alertdialog' : 'dialog'}>
          <div className="dialog-head">
            <Heading slot="title" level={2}>
              {title}
            </Heading>
            {!alert && (
              <IconButton look="quiet" label={t('common.close')} onPress={close}>
                <X aria-hidden />
              </IconButton>
            )}
          </div>
          {children}
        </Dialog>
      </Modal>
    </ModalOverlay>
  );
}
