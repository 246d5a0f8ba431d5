// Fields with their label, hint and error in the right places for eyes and ears.

import { Check, ChevronDown } from 'lucide-react';
import type { ReactNode } from 'react';
import {
  Button,
  FieldError,
  Input,
  Label,
  ListBox,
  ListBoxItem,
  Popover,
  RadioButton,
  RadioField,
  RadioGroup,
  Select,
  SelectValue,
  SwitchButton,
  SwitchField,
  Text,
  TextField,
  type TextFieldProps,
} from 'react-aria-components';

interface TextProps extends Omit<TextFieldProps, 'className' | 'children'> {
  label: string;
  hint?: string;
  error?: string | undefined;
  /** An address or a number, not prose: no capitals, no spelling. */
  plain?: boolean;
}

export function Words({ label, hint, error, plain = false, ...rest }: TextProps) {
  return (
    <TextField {...rest} className="field" isInvalid={error !== undefined} validationBehavior="aria">
      <Label>{label}</Label>
      <Input className="input" {...(plain ? { autoCapitalize: 'off', spellCheck: false } : {})} />
      {hint !== undefined && (
        <Text slot="description" className="hint">
          {hint}
        </Text>
      )}
      <FieldError className="error">{error}</FieldError>
    </TextField>
  );
}

export interface Choice {
  id: string;
  name: string;
}

interface ChoiceProps {
  label: string;
  choices: Choice[];
  chosen: string;
  choose: (id: string) => void;
  /** Drawn in front of the choice. */
  icon?: ReactNode;
  /** Whether the label is only for screen readers. */
  labelHidden?: boolean;
}

/** One of several, from a list that opens. */
export function Choose({ label, choices, chosen, choose, icon, labelHidden = false }: ChoiceProps) {
  return (
    <Select className="field" value={chosen} onChange={(key) => choose(String(key))}>
      <Label className={labelHidden ? 'hidden-visually' : 'label'}>{label}</Label>
      <Button className="select-button">
        {icon}
        <SelectValue />
        <ChevronDown aria-hidden />
      </Button>
      <Popover className="popover">
        <ListBox className="menu" items={choices}>
          {(one) => (
            <ListBoxItem id={one.id} textValue={one.name} className="menu-item">
              {({ isSelected }) => (
                <>
                  <span className="grow">{one.name}</span>
                  {isSelected && <Check className="tick" aria-hidden />}
                </>
              )}
            </ListBoxItem>
          )}
        </ListBox>
      </Popover>
    </Select>
  );
}

/** One of a few, all of them in sight. */
export function ChooseInSight({ label, choices, chosen, choose }: ChoiceProps) {
  return (
    <RadioGroup className="field" value={chosen} onChange={choose}>
      <Label className="label">{label}</Label>
      <div className="radios">
        {choices.map((one) => (
          <RadioField key={one.id} value={one.id}>
            <RadioButton className="radio">{one.name}</RadioButton>
          </RadioField>
        ))}
      </div>
    </RadioGroup>
  );
}

interface ToggleProps {
  label: string;
  hint?: string;
  on: boolean;
  turn: (on: boolean) => void;
}

export function Toggle({ label, hint, on, turn }: ToggleProps) {
  return (
    <SwitchField isSelected={on} onChange={turn}>
      <SwitchButton className="switch">
        <span className="track" aria-hidden />
        {label}
      </SwitchButton>
      {hint !== undefined && (
        <Text slot="description" className="hint">
          {hint}
        </Text>
      )}
    </SwitchField>
  );
}
